"""The accuracy after learning from a share of the labeled groups: patients, slides, scenes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ... import Evaluation
from ...evaluation import EvaluationData, Pretrained, Result
from .few_labels import BudgetsConfig, at_budgets, check_budgets


class LabelFractionsConfig(BudgetsConfig):
    """Options of the evaluation."""

    repeats: Annotated[int, Field(ge=1, description="number of draws of the labels")] = 3
    fractions: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1)], ...],
        Field(
            min_length=1,
            description="shares of the labeled groups; the first is the main one",
        ),
    ] = (0.01, 0.1, 1.0)


class LabelFractions(Evaluation):
    """How accurate is a classifier that learns from a share of the labeled groups?"""

    Config = LabelFractionsConfig
    quick: ClassVar[Mapping[str, Any]] = {"repeats": 2, "fractions": (0.1, 0.5)}

    def check(self, data: EvaluationData) -> None:
        """Refuses what the evaluation that learns from the labels refuses, at any draw of them."""
        check_budgets(self.config, data, self._budgets)

    @property
    def _budgets(self) -> Mapping[str, float]:
        return {f"{100 * share:g}%": float(share) for share in self.config.fractions}

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Draws nested, stratified shares of the groups, and runs the evaluation on them."""
        return at_budgets(self.config, model, data, self._budgets)
