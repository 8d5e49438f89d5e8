"""Metrics of classification, each for many draws of groups at once.

A confusion matrix is (..., K, K): true class, predicted class. Weights are (G, R): how often each
group counts in each draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .bootstrap import Floats, Weights, codes_of

BINS = 15


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Divides, giving NaN where `whole` is 0."""
    out: Floats = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def _mean(values: Floats) -> Floats:
    """Means over the last axis without NaN; NaN where there is nothing else."""
    there = ~np.isnan(values)
    return _ratio(np.where(there, values, 0.0).sum(axis=-1), there.sum(axis=-1))


def accuracy(confusion: Floats) -> Floats:
    """Share of images predicted right."""
    hits: Floats = np.trace(confusion, axis1=-2, axis2=-1)
    total: Floats = confusion.sum(axis=(-2, -1))
    return hits / total


def recalls(confusion: Floats) -> Floats:
    """(..., K) share of each true class predicted right; NaN for a class that is not there."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(hits, confusion.sum(axis=-1))


def balanced_accuracy(confusion: Floats) -> Floats:
    """Mean recall over the classes that are there."""
    return _mean(recalls(confusion))


def f1_scores(confusion: Floats) -> Floats:
    """(..., K) harmonic mean of precision and recall; NaN where neither truth nor prediction."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(2 * hits, confusion.sum(axis=-1) + confusion.sum(axis=-2))


def macro_f1(confusion: Floats) -> Floats:
    """Mean F1 over classes."""
    return _mean(f1_scores(confusion))


def kappa(confusion: Floats, power: int = 0) -> Floats:
    """Cohen's kappa: agreement beyond chance; 0 is chance, 1 is perfect.

    Args:
        confusion: (..., K, K).
        power: Of the distance between ordered classes that a disagreement costs: 2 is quadratic;
            0 lets every one cost the same.
    """
    k = np.arange(confusion.shape[-1])
    apart = np.abs(k[:, None] - k)
    cost = apart.astype(np.float64) ** power if power else (apart > 0).astype(np.float64)
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    chance = true[..., :, None] * predicted[..., None, :] / confusion.sum(axis=(-2, -1))[
        ..., None, None
    ]  # fmt: skip
    expected = (cost * chance).sum(axis=(-2, -1))
    return 1 - _ratio((cost * confusion).sum(axis=(-2, -1)), expected)


def quadratic_kappa(confusion: Floats) -> Floats:
    """Cohen's kappa of ordered classes, a disagreement costing the square of its distance."""
    return kappa(confusion, power=2)


METRICS: dict[str, Callable[[Floats], Floats]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "kappa": kappa,
}


class Ranking:
    """Scores of one class against the rest, sorted once; its metrics for any weights.

    Args:
        positive: (n,) whether an image is of the class.
        scores: (n,) the higher the more likely.
    """

    def __init__(self, positive: NDArray[np.bool_], scores: NDArray[Any]) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        hits = np.flatnonzero(positive[self._order])
        ends = np.searchsorted(-ranked, -ranked[hits], side="right")  # one past those tied
        starts = np.searchsorted(-ranked, -ranked[hits], side="left")
        self._hits, self._ends, self._starts = hits, ends, starts
        self._hit_ends, self._hit_starts = np.searchsorted(hits, [ends, starts])

    def areas(self, weights: Weights) -> tuple[Floats, Floats]:
        """Returns the areas under the ROC and the precision-recall curve, (R,) each.

        The first is the chance that an image of the class scores higher than another one (a tie
        counts half); the second is average precision, as scikit-learn defines both. NaN where one
        of the two kinds is missing.

        Args:
            weights: (n, R) of the images.
        """
        seen = np.empty((len(weights) + 1, weights.shape[1]), dtype=np.float32)  # exact to 2^24
        seen[0] = 0
        ours = weights[self._order]
        np.cumsum(ours, axis=0, out=seen[1:])
        ours = ours[self._hits]
        right = np.zeros((len(ours) + 1, weights.shape[1]), dtype=np.float32)
        np.cumsum(ours, axis=0, out=right[1:])
        above, found = seen[self._ends], right[self._hit_ends]
        wrong_above = above - found
        wrong_above += seen[self._starts] - right[self._hit_starts]  # ties count half
        positives = right[-1].astype(np.float64)
        negatives = seen[-1] - positives
        swapped = np.einsum("ir,ir->r", ours, wrong_above, dtype=np.float64) / 2
        np.divide(found, np.maximum(above, 1), out=found)
        precision = np.einsum("ir,ir->r", ours, found, dtype=np.float64)
        roc = 1 - _ratio(swapped, positives * negatives)
        return roc, np.where(negatives > 0, _ratio(precision, positives), np.nan)


def calibration(
    labels: NDArray[Any], probabilities: Floats, codes: NDArray[np.int64], groups: int
) -> Floats:
    """(G, BINS) sums of hit minus confidence over the images of a group, by confidence.

    Their absolute sums over images make the expected calibration error: On Calibration of Modern
    Neural Networks (Guo et al. 2017, https://arxiv.org/abs/1706.04599), eq. 3, with equal bins
    that hold their upper edge.
    """
    confidence = probabilities.max(axis=1)
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps: Floats = np.zeros((groups, BINS))
    np.add.at(gaps, (codes, bins), (probabilities.argmax(axis=1) == labels) - confidence)
    return gaps


def operating_point(positive: NDArray[np.bool_], scores: NDArray[Any]) -> float:
    """Chooses the threshold with the largest sum of sensitivity and specificity (Youden's J).

    Args:
        positive: (n,) whether an image is of the class; both kinds are needed.
        scores: (n,) of validation images. An image is called positive from the threshold on.
    """
    from sklearn.metrics import roc_curve

    false, true, thresholds = roc_curve(positive, scores, drop_intermediate=False)
    best = 1 + int(np.argmax((true - false)[1:]))  # the first threshold is infinite
    return float(thresholds[best])


@dataclass(frozen=True)
class Answers:
    """What a classifier said of the test images, ready to be weighed by groups.

    Attributes:
        labels: (n,) class numbers.
        predictions: (n,) class numbers.
        groups: (n,) group numbers of any values.
        classes: Class names.
        ordinal: Whether the classes are ordered.
    """

    labels: NDArray[Any]
    predictions: NDArray[Any]
    groups: NDArray[Any]
    classes: Sequence[str]
    ordinal: bool = False

    def __call__(self, weights: Weights) -> dict[str, Floats]:
        """Returns every metric of weighted groups, (R,) each."""
        confusion = self._weigh(self._counts, weights)
        found = {name: metric(confusion) for name, metric in METRICS.items()}
        if self.ordinal:
            found["quadratic_kappa"] = quadratic_kappa(confusion)
        return found

    @cached_property
    def codes(self) -> tuple[NDArray[np.int64], int]:
        """(n,) groups numbered from 0, and their number."""
        return codes_of(self.groups)

    def _count(self, predictions: NDArray[Any]) -> sparse.csr_matrix:
        """(K K, G) confusion counts by group."""
        (codes, groups), k = self.codes, len(self.classes)
        cells = np.asarray(self.labels, dtype=np.int64) * k + predictions
        ones = np.ones(len(codes), dtype=np.float32)
        return sparse.csr_matrix((ones, (cells, codes)), shape=(k * k, groups))

    @cached_property
    def _counts(self) -> sparse.csr_matrix:
        return self._count(self.predictions)

    def _weigh(self, counts: sparse.csr_matrix, weights: Weights) -> Floats:
        """(R, K, K) confusion matrices of weighted groups."""
        k = len(self.classes)
        return np.asarray(counts @ weights, dtype=np.float64).T.reshape(-1, k, k)

    def confusion(self) -> Floats:
        """(K, K) confusion matrix."""
        once: Floats = self._weigh(self._counts, np.ones((self.codes[1], 1), np.float32))[0]
        return once

    def by_group(self) -> Floats:
        """(G,) share of each group's images predicted right."""
        codes, groups = self.codes
        right = np.bincount(codes, weights=self.labels == self.predictions, minlength=groups)
        shares: Floats = right / np.bincount(codes, minlength=groups)
        return shares

    def rows(self) -> list[dict[str, Any]]:
        """Returns a row per class: name, number of test images, recall, precision, F1."""
        total = self.confusion()
        recall, precision, f1 = recalls(total), recalls(total.T), f1_scores(total)
        return [
            {
                "class": name,
                "images": int(total[k].sum()),
                "recall": float(recall[k]),
                "precision": float(precision[k]),
                "f1": float(f1[k]),
            }
            for k, name in enumerate(self.classes)
        ]


@dataclass(frozen=True, kw_only=True)
class ScoredAnswers(Answers):
    """Answers with probabilities. Of two classes the second is the positive one.

    Attributes:
        probabilities: (n, K).
        threshold: Probability of the second of two classes from which on it is called.
    """

    probabilities: Floats
    threshold: float = 0.5

    def __call__(self, weights: Weights) -> dict[str, Floats]:
        """Returns every metric of weighted groups, (R,) each."""
        images = weights[self.codes[0]]
        areas = np.array([ranking.areas(images) for ranking in self._rankings])  # (K, 2, R)
        auroc, auprc = _mean(np.moveaxis(areas, 0, -1))
        ece = np.abs(self._gaps.T @ weights).sum(axis=0) / images.sum(axis=0)
        found = super().__call__(weights) | {"auroc": auroc, "auprc": auprc, "ece": ece}
        if len(self.classes) == 2:
            called = recalls(self._weigh(self._called, weights))
            found |= {"sensitivity": called[:, 1], "specificity": called[:, 0]}
        return found

    @cached_property
    def _rankings(self) -> list[Ranking]:
        kinds = [1] if len(self.classes) == 2 else range(len(self.classes))
        return [Ranking(self.labels == k, self.probabilities[:, k]) for k in kinds]

    @cached_property
    def _gaps(self) -> Floats:
        return calibration(self.labels, self.probabilities, *self.codes)

    @cached_property
    def _called(self) -> sparse.csr_matrix:
        return self._count((self.probabilities[:, 1] >= self.threshold).astype(np.int64))
