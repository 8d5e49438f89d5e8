"""Metrics of classification, computed for many weightings of the test groups at once.

Weights are (G, R): how often each of G groups counts in each of R columns.
Scores and probabilities that are not finite raise a `NotFiniteError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..training.finite import require_finite
from ..training.freedom import class_freedom
from ..training.intervals import Floats, Jackknife, Weights, codes_of, jackknife
from .confusion import (
    GRADES_APART,
    METRICS,
    f1_scores,
    mean,
    mean_absolute_error,
    quadratic_kappa,
    ratio,
    recalls,
)

BINS = 15
OF_CLASSES = ("balanced_accuracy", "macro_f1", "auroc", "auprc")


class Ranking:
    """Scores of one class against the others, sorted once for the metrics of many weightings.

    Args:
        positive: (n,) whether an image belongs to the class.
        scores: (n,) scores; a higher one makes the class more likely.
    """

    def __init__(self, positive: NDArray[np.bool_], scores: NDArray[Any]) -> None:
        require_finite(scores, "scores")
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        hits = np.flatnonzero(positive[self._order])
        ends = np.searchsorted(-ranked, -ranked[hits], side="right")  # one past those tied
        starts = np.searchsorted(-ranked, -ranked[hits], side="left")
        self._hits, self._ends, self._starts = hits, ends, starts
        self._hit_ends, self._hit_starts = np.searchsorted(hits, [ends, starts])

    def areas(self, weights: Weights) -> tuple[Floats, Floats]:
        """Returns the areas under the ROC curve and the precision-recall curve, (R,) each.

        The first is the probability that an image of the class scores higher than another image,
        where a tie counts one half. The second is the average precision. Both are defined as in
        scikit-learn, and NaN where images of the class or other images are missing.

        Args:
            weights: (n, R) weights of the images.
        """
        counts = np.empty((len(weights) + 1, weights.shape[1]), dtype=np.float32)  # exact to 2^24
        counts[0] = 0
        ranked = weights[self._order]
        np.cumsum(ranked, axis=0, out=counts[1:])
        hits = ranked[self._hits]
        hit_counts = np.zeros((len(hits) + 1, weights.shape[1]), dtype=np.float32)
        np.cumsum(hits, axis=0, out=hit_counts[1:])
        above, hits_above = counts[self._ends], hit_counts[self._hit_ends]
        others_above = above - hits_above
        others_above += counts[self._starts] - hit_counts[self._hit_starts]  # ties count half
        positives = hit_counts[-1].astype(np.float64)
        negatives = counts[-1] - positives
        swapped = np.einsum("ir,ir->r", hits, others_above, dtype=np.float64) / 2
        np.divide(hits_above, np.maximum(above, 1), out=hits_above)
        precision = np.einsum("ir,ir->r", hits, hits_above, dtype=np.float64)
        roc = 1 - ratio(swapped, positives * negatives)
        return roc, np.where(negatives > 0, ratio(precision, positives), np.nan)


def calibration(
    labels: NDArray[Any], probabilities: Floats, codes: NDArray[np.int64], groups: int
) -> Floats:
    """Returns the sums of (correct minus confidence) by group and bin of confidence, (G, BINS).

    The expected calibration error is the sum over bins of the absolute values of these sums, over
    all groups, divided by the number of images: On Calibration of Modern Neural Networks (Guo et
    al. 2017, https://arxiv.org/abs/1706.04599), eq. 3, with bins of equal width that include
    their upper edge.

    Args:
        labels: (n,) class numbers.
        probabilities: (n, K).
        codes: (n,) groups numbered from 0.
        groups: Number of groups, G.
    """
    require_finite(probabilities, "rows of probabilities")
    confidence = probabilities.max(axis=1)
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps: Floats = np.zeros((groups, BINS))
    np.add.at(gaps, (codes, bins), (probabilities.argmax(axis=1) == labels) - confidence)
    return gaps


def operating_point(
    positive: NDArray[np.bool_], scores: NDArray[Any], sensitivity: float | None = None
) -> float:
    """Chooses the threshold with the largest sum of sensitivity and specificity (Youden's J).

    With `sensitivity` it is the highest one that has at least this sensitivity.

    It is in the middle between two scores, since either end of the gap is an arbitrary choice.

    Args:
        positive: (n,) whether an image belongs to the class; both cases must occur.
        scores: (n,) scores of validation images. An image is predicted positive if its score is
            at least the threshold.
        sensitivity: Lowest sensitivity, in (0, 1]; None takes Youden's J.
    """
    require_finite(scores, "scores of validation images")
    from sklearn.metrics import roc_curve

    false, true, thresholds = roc_curve(positive, scores, drop_intermediate=False)
    wanted = true - false if sensitivity is None else true >= sensitivity - 1e-12
    best = 1 + int(np.argmax(wanted[1:]))  # the first threshold is infinite
    return float(thresholds[best : best + 2].mean())


@dataclass(frozen=True)
class Predictions:
    """Predicted classes of the test images; a statistic for `jackknife`.

    Attributes:
        labels: (n,) class numbers.
        predictions: (n,) class numbers.
        groups: (n,) group numbers of any values.
        classes: Class names.
        ordinal: Whether the classes are ordered, from the lowest to the highest.
    """

    labels: NDArray[Any]
    predictions: NDArray[Any]
    groups: NDArray[Any]
    classes: Sequence[str]
    ordinal: bool = False

    def __call__(self, weights: Weights) -> dict[str, Floats]:
        """Returns every metric of weighted groups, (R,) each."""
        confusion = self._weigh(self._counts, weights)
        values = {name: metric(confusion) for name, metric in METRICS.items()}
        if self.ordinal:
            values["quadratic_kappa"] = quadratic_kappa(confusion)
            values[GRADES_APART] = mean_absolute_error(confusion)
        return values

    @cached_property
    def codes(self) -> tuple[NDArray[np.int64], int]:
        """(n,) groups numbered from 0, and their number."""
        return codes_of(self.groups)

    def _count(self, predictions: NDArray[Any]) -> sparse.csr_matrix:
        """Counts predictions: (K K, G) confusion counts by group."""
        (codes, groups), k = self.codes, len(self.classes)
        cells = np.asarray(self.labels, dtype=np.int64) * k + predictions
        ones = np.ones(len(codes), dtype=np.float32)
        return sparse.csr_matrix((ones, (cells, codes)), shape=(k * k, groups))

    @cached_property
    def _counts(self) -> sparse.csr_matrix:
        return self._count(self.predictions)

    def _weigh(self, counts: sparse.csr_matrix, weights: Weights) -> Floats:
        """Sums up counts: (R, K, K) confusion matrices of weighted groups."""
        k = len(self.classes)
        return np.asarray(counts @ weights, dtype=np.float64).T.reshape(-1, k, k)

    def confusion(self) -> Floats:
        """Returns the confusion matrix of all images, (K, K)."""
        total: Floats = self._weigh(self._counts, np.ones((self.codes[1], 1), np.float32))[0]
        return total

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of metrics that have others than `jackknife` takes."""
        return {GRADES_APART: (0.0, len(self.classes) - 1.0)} if self.ordinal else {}

    @property
    def most_freedom(self) -> dict[str, float]:
        """Largest degrees of freedom of metrics in which each class counts the same."""
        codes, groups = self.codes
        counts = np.zeros((len(self.classes), groups))
        np.add.at(counts, (np.asarray(self.labels, dtype=np.int64), codes), 1)
        return dict.fromkeys(OF_CLASSES, class_freedom(counts))

    def jackknife(self) -> dict[str, Jackknife]:
        """Returns the metrics on all groups and without each of them."""
        sizes, n = np.bincount(self.codes[0]), len(self.labels)
        return jackknife(self, sizes, n, self.limits, self.most_freedom)

    def by_group(self) -> Floats:
        """Returns a score of each group, (G,): the accuracy.

        Of ordered classes it is the mean of 1 - (distance / largest distance)^2, the agreement
        that the quadratic kappa corrects for chance; kappa itself needs images of two classes.
        """
        codes, groups = self.codes
        score = (self.labels == self.predictions).astype(np.float64)
        if self.ordinal:
            distance = (self.labels - np.asarray(self.predictions)) / max(1, len(self.classes) - 1)
            score = 1.0 - distance**2
        right = np.bincount(codes, weights=score, minlength=groups)
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
class ScoredPredictions(Predictions):
    """Predictions with probabilities.

    Attributes:
        probabilities: (n, K).
        positive: Number of the positive one of two classes, of which sensitivity, AUROC and AUPRC
            are computed.
        threshold: Probability from which on the positive one of two classes is predicted, for
            sensitivity and specificity.
    """

    probabilities: Floats
    positive: int = 1
    threshold: float = 0.5

    def __post_init__(self) -> None:
        require_finite(self.probabilities, "rows of probabilities")

    def __call__(self, weights: Weights) -> dict[str, Floats]:
        """Returns every metric of weighted groups, (R,) each."""
        images = weights[self.codes[0]]
        areas = np.array([ranking.areas(images) for ranking in self._rankings])  # (K, 2, R)
        auroc, auprc = mean(np.moveaxis(areas, 0, -1))
        ece = np.abs(self._gaps.T @ weights).sum(axis=0) / images.sum(axis=0)
        values = super().__call__(weights) | {"auroc": auroc, "auprc": auprc, "ece": ece}
        if len(self.classes) == 2:
            recall = recalls(self._weigh(self._thresholded, weights))
            own, other = recall[:, self.positive], recall[:, 1 - self.positive]
            values |= {"sensitivity": own, "specificity": other}
        return values

    @cached_property
    def _rankings(self) -> list[Ranking]:
        ranked = [self.positive] if len(self.classes) == 2 else range(len(self.classes))
        return [Ranking(self.labels == k, self.probabilities[:, k]) for k in ranked]

    @cached_property
    def _gaps(self) -> Floats:
        return calibration(self.labels, self.probabilities, *self.codes)

    @cached_property
    def _thresholded(self) -> sparse.csr_matrix:
        reached = self.probabilities[:, self.positive] >= self.threshold
        return self._count(np.where(reached, self.positive, 1 - self.positive))
