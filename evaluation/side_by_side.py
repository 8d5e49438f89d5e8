"""Evaluates an encoder beside its control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .bootstrap import Estimate, wilcoxon
from .data import EvaluationData
from .evaluation import Evaluation
from .pretrained import Pretrained
from .result import Result, paired_difference


@dataclass(frozen=True)
class SideBySide:
    """One evaluation's results for a model and its control.

    Attributes:
        evaluation: Name of the evaluation.
        results: By name of the encoder.
        gains: By how much the first exceeds the second, paired, by metric; empty if there is
            only one.
    """

    evaluation: str
    results: dict[str, Result]
    gains: dict[str, Estimate]

    @property
    def gain(self) -> Estimate | None:
        """Gain in the main metric; None if there is no control, or no metric to prefer one by."""
        return self.gains.get(next(iter(self.results.values())).main)

    @property
    def p(self) -> float | None:
        """P-value of the Wilcoxon signed-rank test over groups, or what else intervals are over.

        None without a control, and below six of them, where it cannot get under 0.05.
        """
        scores = [result.by_group for result in self.results.values()]
        if len(scores) < 2 or len(scores[0]) < 6 or len(scores[0]) != len(scores[1]):
            return None
        return wilcoxon(scores[0], scores[1])


def evaluate_side_by_side(
    models: Sequence[Pretrained], data: EvaluationData, evaluations: Mapping[str, Evaluation]
) -> list[SideBySide]:
    """Runs each evaluation on each model; the second, if any, is the control of the first."""
    comparisons = []
    for name, evaluation in evaluations.items():
        results = {model.name: evaluation.evaluate(model, data) for model in models}
        first, *others = results.values()
        gains = {m: paired_difference(first, others[0], m) for m in first.metrics} if others else {}
        comparisons.append(SideBySide(name, results, gains))
    return comparisons
