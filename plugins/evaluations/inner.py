"""Evaluations that run another evaluation on parts of the data."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ... import Config, Evaluation, validate
from ...evaluation import evaluations


class InnerConfig(Config):
    """Options that name the inner evaluation."""

    evaluation: Annotated[
        str, Field(description="name of the evaluation that runs on each part of the data")
    ] = "linear"
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="options of that evaluation, such as options.ordinal=true",
        json_schema_extra={"options_of": "evaluation"},
    )

    def chosen(self) -> Evaluation:
        """Makes the inner evaluation.

        Raises:
            UsageError: If there is none of that name, or it does not have the options.
        """
        kind: type[Evaluation] = evaluations[self.evaluation]
        return kind(validate(kind.Config, self.options, "options"))
