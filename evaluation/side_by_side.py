"""Evaluates an encoder beside its control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..training.finite import told_where
from ..training.intervals import Estimate
from ..training.work import as_parts
from .data import EvaluationData
from .differences import paired_difference, paired_p_value, verdict
from .evaluation import Evaluation
from .pretrained import Pretrained
from .result import Result

HANDCRAFTED = "hand-crafted"
_NONE: Mapping[str, float] = {}


@dataclass(frozen=True)
class SideBySide:
    """One evaluation's results for a model and its controls.

    Attributes:
        evaluation: Name of the evaluation.
        results: By name of the encoder.
        gains: By how much the first exceeds the second, paired, by metric; empty if there is
            only one.
        pretraining: Seconds and epochs that the first was pre-trained for, and where "kept" how far
            it is from its start, from 0 to 1; empty if it is no run.
    """

    evaluation: str
    results: dict[str, Result]
    gains: dict[str, Estimate]
    pretraining: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, evaluation: str, results: dict[str, Result], pretraining: Mapping[str, float] = _NONE
    ) -> SideBySide:
        """Puts results side by side; the second, if any, is the control of the first."""
        first, *controls = results.values()
        gains = {m: paired_difference(first, controls[0], m) for m in first.metrics if controls}
        return cls(evaluation, results, gains, pretraining)

    @property
    def first(self) -> Result:
        """The result of the first encoder."""
        return next(iter(self.results.values()))

    @property
    def gain(self) -> Estimate | None:
        """Gain in the main metric; None if there is no control, or no metric to prefer one by."""
        return self.gains.get(self.first.main)

    @property
    def over_descriptors(self) -> Estimate | None:
        """Gain over hand-crafted descriptors in the main metric; None if they are no control."""
        descriptors = self.results.get(HANDCRAFTED)
        if descriptors is None or self.first.main not in descriptors.metrics:
            return None
        return paired_difference(self.first, descriptors, self.first.main)

    @property
    def p(self) -> float | None:
        """P-value of no gain in the main metric; None without a control or a verdict."""
        first, *controls = self.results.values()
        return paired_p_value(first, controls[0], first.main) if controls else None

    @property
    def verdict(self) -> str:
        """Whether the first encoder is better than its control; see `verdict`."""
        return verdict(self.gain, self.first.groups)


def evaluate_side_by_side(
    models: Sequence[Pretrained],
    data: EvaluationData,
    evaluations: Mapping[str, Evaluation],
    pretraining: Mapping[str, float] = _NONE,
    descriptors: Pretrained | None = None,
) -> list[SideBySide]:
    """Runs each evaluation on each model.

    Args:
        models: The second, if any, is the control of the first.
        data: Labeled images.
        evaluations: By name.
        pretraining: Seconds and epochs that the first was pre-trained for.
        descriptors: A further control, for evaluations that use only features.

    Raises:
        NotFiniteError: If features or predictions are not finite.
    """
    pairs = [
        (name, model)
        for name, evaluation in evaluations.items()
        for model in (
            *models,
            *([descriptors] if descriptors and evaluation.uses_features else []),
        )
    ]
    results: dict[str, dict[str, Result]] = {name: {} for name in evaluations}
    for name, model in as_parts(pairs, lambda pair: f"{pair[0]} of {pair[1].name}"):
        with told_where(f"Evaluation '{name}' of '{model.name}'"):
            results[name][model.name] = evaluations[name].evaluate(model, data)
    return [SideBySide.of(name, of, pretraining) for name, of in results.items()]
