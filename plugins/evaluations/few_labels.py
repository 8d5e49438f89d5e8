"""The accuracy after learning from a few labels of each class, over repeated draws of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from ... import Evaluation
from ...evaluation import (
    EvaluationData,
    Pretrained,
    Result,
    average_results,
    counted,
    draw_labels,
)
from .inner import InnerConfig

_FEW_DRAWS = (
    "Intervals are over test groups only: fewer than three draws of the labels do not tell how "
    "much draws differ."
)


class BudgetsConfig(InnerConfig):
    """Options that evaluations at several label budgets have in common."""

    repeats: Annotated[int, Field(ge=1, description="number of draws of the labels")] = 5


def at_budgets(
    config: BudgetsConfig, model: Pretrained, data: EvaluationData, budgets: Mapping[str, float]
) -> Result:
    """Evaluates with smaller numbers of labels; the main metric is that of the first budget.

    Args:
        config: The evaluation, and how often labels are drawn; all labels are drawn once.
        model: The encoder.
        data: Labels are drawn from its training and validation part.
        budgets: Budgets by name; see `draw_labels`.
    """
    evaluation = config.chosen()
    index, parts = data.dataset.index, data.parts
    known = np.concatenate([parts.train, parts.val])
    results, used = {}, {}
    for name, budget in counted(budgets.items(), "budget"):
        repeats = 1 if budget == 1.0 and isinstance(budget, float) else config.repeats
        draws = [draw_labels(index, known, budget, seed) for seed in range(repeats)]
        results[name] = average_results(
            [evaluation.evaluate(model, data.limited(draw)) for draw in counted(draws, "draw")]
        )
        used[name] = float(np.mean([len(draw) for draw in draws]))
    main = next(iter(budgets))
    first = results[main]
    return Result.of_parts(
        results,
        main,
        evaluation=config.evaluation,
        labels=used,
        grades=first.details["repeats"][0].get("grades", []),
        positive=first.positive,
        remarks=[_FEW_DRAWS] if config.repeats < 3 else [],
    )


class FewLabelsConfig(BudgetsConfig):
    """Options of the evaluation."""

    counts: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        Field(min_length=1, description="numbers of labels per class; the first is the main one"),
    ] = (5, 10, 50)


class FewLabels(Evaluation):
    """How accurate is a classifier that learns from k labels of each class?"""

    Config = FewLabelsConfig
    quick: ClassVar[Mapping[str, Any]] = {"repeats": 2, "counts": (5, 10)}

    def check(self, data: EvaluationData) -> None:
        """Refuses what the evaluation that learns from the labels refuses."""
        inner = self.config.chosen()
        inner.check(data)
        inner.check(data.limited(data.parts.outside_test))  # as each draw holds labels back

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Draws k labels of each class, nested for larger k, and runs the evaluation on them."""
        budgets = {str(count): count for count in self.config.counts}
        return at_budgets(self.config, model, data, budgets)
