"""Degrees of freedom of variances that a jackknife over groups estimates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_NOISE = 1e-6  # of rounding, relative to the largest change
_GROWTH = 1.5  # exponent of a group's size, with which its variance is taken to grow


def degrees_of_freedom(influence: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    """Returns the effective number of groups minus one, at least 1.

    The variance that a group contributes is taken to grow with its size to the power of 1.5: midway
    between 1 (images of a group are independent) and 2 (they are all alike). With equal sizes this
    is G - 1. Groups without influence on the metric do not count.

    Args:
        influence: (G,) magnitude of the change of the metric without each group.
        sizes: (G,) number of images of each group.
    """
    counted = sizes[influence > _NOISE * influence.max()]
    return max(1.0, _effective(counted) - 1)


def class_freedom(counts: NDArray[Any]) -> float:
    """Returns the largest degrees of freedom of a mean over classes.

    Where groups have one class each, as patients with a diagnosis have, the variance of the mean is
    a sum of the variances of the classes, and that of a class in few groups, which is the largest,
    is known from these groups alone. The degrees of freedom are Satterthwaite's (1946,
    https://doi.org/10.2307/3002019), with the variance of a class taken to be the inverse of its
    effective number of groups.

    Args:
        counts: (K, G) number of images of each class in each group.
    """
    groups = np.array([_effective(row) for row in counts if row.any()])
    variances = 1 / groups
    joint = (variances**2 / np.maximum(1.0, groups - 1)).sum()
    return float(variances.sum() ** 2 / joint) if len(groups) else 1.0


def _effective(sizes: NDArray[Any]) -> float:
    """Returns how many groups of equal size are as good as groups of these sizes, (G,)."""
    weights = np.asarray(sizes, dtype=np.float64) ** _GROWTH
    return float(weights.sum() ** 2 / max((weights**2).sum(), 1e-300))
