"""The contract of an evaluation, and how the command runs several of them on several encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .config import Config
from .dataset import Dataset
from .domain import Domain
from .errors import UsageError
from .pretrained import Pretrained, embed
from .run import Run
from .splits import Positions, Splits
from .statistics import Estimate, difference, metrics_of, per_class

__all__ = ["Estimate", "Evaluation", "EvaluationData", "LabelledFeatures", "Result"]


@dataclass(frozen=True)
class LabelledFeatures:
    """Features of labelled images in three parts that share no group.

    Attributes:
        features: (n, D) float32.
        labels: (n,) class numbers.
        groups: (n,) group numbers.
        classes: Class names.
        train: Rows to learn from.
        val: Rows to choose settings on; may be empty.
        test: Rows to report on, once.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int32]
    groups: NDArray[np.int64]
    classes: tuple[str, ...]
    train: Positions
    val: Positions
    test: Positions


@dataclass
class EvaluationData:
    """Labelled images in three parts, and their features for any encoder.

    Attributes:
        dataset: All images.
        splits: The parts.
        domain: Its policies make the views.
        workers: Loading processes.
    """

    dataset: Dataset
    splits: Splits
    domain: Domain
    workers: int = -1
    _features: dict[int, LabelledFeatures] = field(default_factory=dict)

    def __post_init__(self) -> None:
        labels = self.dataset.index.labels
        if not (labels[self.splits.train] >= 0).any() or not (labels[self.splits.test] >= 0).any():
            raise UsageError(
                "An evaluation needs labelled images to learn from and to test on. Put them into "
                "class folders, or give --labels a CSV with path, label, and group or split; a "
                "class needs at least 5 groups."
            )

    def features(self, model: Pretrained) -> LabelledFeatures:
        """Embeds all labelled images, once per encoder."""
        if id(model) not in self._features:
            index = self.dataset.index
            chosen = np.flatnonzero(index.labels >= 0)
            features, rows, _ = embed(model, self.dataset, chosen, self.domain, self.workers)
            parts = [
                np.flatnonzero(np.isin(rows, part))
                for part in (self.splits.train, self.splits.val, self.splits.test)
            ]
            self._features[id(model)] = LabelledFeatures(
                features, index.labels[rows], index.groups[rows], index.classes, *parts
            )
        return self._features[id(model)]


@dataclass
class Result:
    """What an evaluation found.

    Attributes:
        metrics: Estimates by name.
        rows: One per class.
        counts: (G, K, K) confusion counts of the test part by group, for paired comparisons.
        details: Anything else worth keeping, as plain values.
    """

    metrics: Mapping[str, Estimate]
    rows: list[dict[str, Any]]
    counts: NDArray[np.float64]
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_classification(
        cls, data: LabelledFeatures, counts: NDArray[np.float64], **details: Any
    ) -> Result:
        """Makes the result of a classification from its confusion counts by group."""
        return cls(metrics_of(counts), per_class(counts, data.classes), counts, details)

    def to_json(self) -> dict[str, Any]:
        """Returns plain values."""
        metrics = {name: asdict(value) for name, value in self.metrics.items()}
        return {"metrics": metrics, "classes": self.rows, **self.details}


class Evaluation(ABC):
    """A protocol that turns an encoder and labelled images into metrics.

    Validation picks; the test part is looked at once.

    Attributes:
        Config: Its options.
    """

    Config: ClassVar[type[Config]] = Config

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Evaluates one encoder."""


def refuse_overlap(run: Run, data: EvaluationData, allow: bool) -> int:
    """Counts the test groups that the run was pre-trained on.

    Raises:
        UsageError: If there are any and that was not allowed.
    """
    trained = set(run.read_json("manifest.json")["groups"])
    shared = trained & data.dataset.index.group_hashes(data.splits.test)
    if shared and not allow:
        raise UsageError(
            f"{len(shared)} groups of the test part were pre-trained on, so its result would "
            "flatter the run. Pre-train with the same --data (its test part is then left out), or "
            "say --allow-overlap."
        )
    return len(shared)


@dataclass(frozen=True)
class Comparison:
    """One protocol's results for a model and its control.

    Attributes:
        protocol: Name of the evaluation.
        results: By name of the encoder.
        gain: Accuracy of the first over the second, paired; None if there is only one.
    """

    protocol: str
    results: dict[str, Result]
    gain: Estimate | None


def compare(
    models: Sequence[Pretrained], data: EvaluationData, protocols: Mapping[str, Evaluation]
) -> list[Comparison]:
    """Runs each protocol on each model; the second, if any, is the control of the first."""
    comparisons = []
    for name, protocol in protocols.items():
        results = {model.name: protocol.evaluate(model, data) for model in models}
        first, *others = results.values()
        gain = difference(first.counts, others[0].counts) if others else None
        comparisons.append(Comparison(name, results, gain))
    return comparisons
