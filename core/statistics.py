"""Metrics of classification, and how sure they are: bootstrap over groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def confusion_by_group(
    labels: NDArray[Any], predictions: NDArray[Any], groups: NDArray[Any], classes: int
) -> Floats:
    """Counts (G, K, K): group, true class, predicted class.

    Args:
        labels: (n,) class numbers.
        predictions: (n,) class numbers.
        groups: (n,) group numbers of any values.
        classes: K.
    """
    _, codes = np.unique(groups, return_inverse=True)
    counts: Floats = np.zeros((codes.max() + 1, classes, classes))
    np.add.at(counts, (codes, labels, predictions), 1)
    return counts


def accuracy(confusion: Floats) -> Floats:
    """Share of images predicted right; confusion is (..., K, K)."""
    hits: Floats = np.trace(confusion, axis1=-2, axis2=-1)
    total: Floats = confusion.sum(axis=(-2, -1))
    return hits / total


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Divides, giving NaN where `whole` is 0."""
    out: Floats = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def recalls(confusion: Floats) -> Floats:
    """(..., K) share of each true class predicted right; NaN for a class that is not there."""
    there = confusion.sum(axis=-1)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(hits, there)


def balanced_accuracy(confusion: Floats) -> Floats:
    """Mean recall over the classes that are there."""
    mean: Floats = np.nanmean(recalls(confusion), axis=-1)
    return mean


def f1_scores(confusion: Floats) -> Floats:
    """(..., K) harmonic mean of precision and recall; NaN where neither truth nor prediction."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    seen = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    return _ratio(2 * hits, seen)


def macro_f1(confusion: Floats) -> Floats:
    """Mean F1 over classes."""
    mean: Floats = np.nanmean(f1_scores(confusion), axis=-1)
    return mean


METRICS = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
}


def resample(counts: Floats, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Bootstraps groups: sums (draws, K, K) of as many groups as there are, with replacement.

    The draws depend on the number of groups and `seed` only: two arms tested on the same groups
    are resampled alike, so that differences of their draws are paired.
    """
    rng, g = np.random.default_rng(seed), len(counts)
    flat = counts.reshape(g, -1)
    out = np.empty((draws, flat.shape[1]))
    for draw in range(draws):
        out[draw] = np.bincount(rng.integers(g, size=g), minlength=g) @ flat
    return out.reshape(draws, *counts.shape[1:])


def estimate(value: float, draws: Floats) -> Estimate:
    """Makes an estimate from a value and its bootstrap draws (percentile interval)."""
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(float(value), float(low), float(high))


def metrics_of(counts: Floats) -> dict[str, Estimate]:
    """Estimates every metric from confusion counts (G, K, K)."""
    total, drawn = counts.sum(axis=0), resample(counts)
    return {name: estimate(float(f(total)), f(drawn)) for name, f in METRICS.items()}


def difference(counts: Floats, control: Floats, metric: str = "accuracy") -> Estimate:
    """Estimates by how much a metric exceeds the control's, paired over the same groups."""
    f = METRICS[metric]
    value = float(f(counts.sum(axis=0)) - f(control.sum(axis=0)))
    return estimate(value, f(resample(counts)) - f(resample(control)))


def per_class(counts: Floats, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Returns a row per class: name, number of test images, recall, precision, F1."""
    total = counts.sum(axis=0)
    transposed, f1 = recalls(total.T), f1_scores(total)
    return [
        {
            "class": name,
            "images": int(total[k].sum()),
            "recall": float(recalls(total)[k]),
            "precision": float(transposed[k]),
            "f1": float(f1[k]),
        }
        for k, name in enumerate(classes)
    ]
