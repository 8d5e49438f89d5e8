"""The accuracy after learning from a few labels of each class, over repeated draws of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ... import Evaluation
from ...evaluation import (
    EvaluationData,
    Pretrained,
    Result,
    average_results,
    counted,
    draw_labels,
    naming_draw,
)
from .inner import InnerConfig

Positions = NDArray[np.int64]

_FEW_DRAWS = (
    "Intervals are over test groups only: fewer than three draws of the labels do not tell how "
    "much draws differ."
)


class BudgetsConfig(InnerConfig):
    """Options that evaluations at several label budgets have in common."""

    repeats: Annotated[int, Field(ge=1, description="number of draws of the labels")] = 5


def check_budgets(
    config: BudgetsConfig, data: EvaluationData, budgets: Mapping[str, float]
) -> None:
    """Refuses what the evaluation that learns from the labels refuses, at any draw of them.

    Args:
        config: The evaluation, and how often labels are drawn.
        data: Labels are drawn from its training and validation part.
        budgets: Budgets by name; see `draw_labels`.

    Raises:
        UsageError: If the evaluation cannot use the data; a draw that it cannot use is named.
    """
    inner = config.chosen()
    inner.check(data)
    inner.check(data.limited(data.parts.outside_test))  # as each draw holds labels back
    for name, budget in budgets.items():
        for number, draw in enumerate(_draws(config, data, budget), start=1):
            with naming_draw(name, f"draw {number}"):
                inner.check(data.limited(draw))


def _draws(config: BudgetsConfig, data: EvaluationData, budget: float) -> Sequence[Positions]:
    """Returns the images of each draw of a budget; all labels are drawn once."""
    repeats = 1 if budget == 1.0 and isinstance(budget, float) else config.repeats
    index, known = data.dataset.index, data.parts.outside_test
    return [draw_labels(index, known, budget, seed) for seed in range(repeats)]


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
    results, used = {}, {}
    for name, budget in counted(budgets.items(), "budget"):
        draws = _draws(config, data, budget)
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
        unit=first.unit,
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
        """Refuses what the evaluation that learns from the labels refuses, at any draw of them."""
        check_budgets(self.config, data, self._budgets)

    @property
    def _budgets(self) -> Mapping[str, float]:
        return {str(count): count for count in self.config.counts}

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Draws k labels of each class, nested for larger k, and runs the evaluation on them."""
        return at_budgets(self.config, model, data, self._budgets)
