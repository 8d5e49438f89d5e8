"""Metrics of confusion matrices, (..., K, K) counts of true class and predicted class."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..training.intervals import Floats

GRADES_APART = "mean_absolute_error"


def ratio(part: Floats, whole: Floats) -> Floats:
    """Divides `part` by `whole`; NaN where `whole` is 0."""
    out: Floats = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def mean(values: Floats) -> Floats:
    """Returns the mean over the last axis without NaN values; NaN where all are NaN."""
    valid = ~np.isnan(values)
    return ratio(np.where(valid, values, 0.0).sum(axis=-1), valid.sum(axis=-1))


def accuracy(confusion: Floats) -> Floats:
    """Returns the share of images whose class is predicted correctly."""
    hits: Floats = np.trace(confusion, axis1=-2, axis2=-1)
    total: Floats = confusion.sum(axis=(-2, -1))
    return hits / total


def recalls(confusion: Floats) -> Floats:
    """Returns the recall of each class, (..., K); NaN for a class without images."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return ratio(hits, confusion.sum(axis=-1))


def balanced_accuracy(confusion: Floats) -> Floats:
    """Returns the mean recall over the classes that have images."""
    return mean(recalls(confusion))


def f1_scores(confusion: Floats) -> Floats:
    """Returns the F1 score of each class, (..., K); NaN for a class that never occurs."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return ratio(2 * hits, confusion.sum(axis=-1) + confusion.sum(axis=-2))


def macro_f1(confusion: Floats) -> Floats:
    """Returns the mean F1 score over classes."""
    return mean(f1_scores(confusion))


def kappa(confusion: Floats, power: int = 0) -> Floats:
    """Returns Cohen's kappa, the agreement beyond chance: 0 is chance, 1 is perfect.

    Args:
        confusion: (..., K, K) counts.
        power: Exponent of the distance between ordered classes in the cost of a disagreement.
            2 is the quadratic kappa; with 0 all disagreements cost the same.
    """
    k = np.arange(confusion.shape[-1])
    distance = np.abs(k[:, None] - k)
    cost = distance.astype(np.float64) ** power if power else (distance > 0).astype(np.float64)
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    chance = (
        true[..., :, None] * predicted[..., None, :] / confusion.sum(axis=(-2, -1))[..., None, None]
    )
    expected = (cost * chance).sum(axis=(-2, -1))
    return 1 - ratio((cost * confusion).sum(axis=(-2, -1)), expected)


def quadratic_kappa(confusion: Floats) -> Floats:
    """Returns Cohen's kappa with quadratic weights, for ordered classes."""
    return kappa(confusion, power=2)


def mean_absolute_error(confusion: Floats) -> Floats:
    """Returns the mean distance of the predicted from the true class, in grades."""
    k = np.arange(confusion.shape[-1])
    distance = np.abs(k[:, None] - k)
    mean_distance: Floats = (distance * confusion).sum(axis=(-2, -1)) / confusion.sum(axis=(-2, -1))
    return mean_distance


def constant_class(confusion: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Returns the class that is predicted for every image, though there are several classes.

    Args:
        confusion: (K, K) counts.
        classes: K names.

    Returns:
        "" if several classes are predicted, or the images are of a single class.
    """
    predicted = np.flatnonzero(confusion.any(axis=0))
    several = confusion.any(axis=1).sum() > 1
    return classes[int(predicted[0])] if several and len(predicted) == 1 else ""


METRICS: dict[str, Callable[[Floats], Floats]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "kappa": kappa,
}
