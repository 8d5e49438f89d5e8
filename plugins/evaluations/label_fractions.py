"""How well does a share of the labeled groups do: some patients, slides or scenes of all?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ... import Evaluation
from ...evaluation import EvaluationData, Pretrained, Result
from .few_labels import BudgetsConfig, at_budgets


class LabelFractionsConfig(BudgetsConfig):
    """Options of the evaluation."""

    repeats: Annotated[int, Field(ge=1, description="draws of the labels")] = 3
    fractions: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1)], ...],
        Field(min_length=1, description="of the labeled groups of each class; the first decides"),
    ] = (0.01, 0.1, 1.0)


class LabelFractions(Evaluation):
    """How well do shares of the labeled groups do, nested and stratified by class?"""

    Config = LabelFractionsConfig
    quick: ClassVar[Mapping[str, Any]] = {"repeats": 2, "fractions": (0.1, 0.5)}

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Draws whole groups, at least one of each class, and runs the evaluation on them."""
        budgets = {f"{100 * share:g}%": float(share) for share in self.config.fractions}
        return at_budgets(self.config, model, data, budgets)
