"""Confidence intervals by a cluster bootstrap over groups.

Every model gets the same resamples, so that differences between models are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
_CELLS = 2**17  # of a block of weights: it should fit into the cache of a processor
Floats = NDArray[np.float64]
Weights = NDArray[np.float32]

Statistic = Callable[[Weights], Mapping[str, Floats]]
"""Maps weights (G, R), how often each of G groups counts in each of R draws, to metrics (R,)."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; the ends are NaN where there is none."""

    value: float
    low: float
    high: float


def codes_of(groups: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """Numbers groups from 0 in sorted order: (n,) codes, and how many groups there are."""
    names, codes = np.unique(groups, return_inverse=True)
    return codes.astype(np.int64), len(names)


def resample(groups: int, rows: int, draws: int = DRAWS, seed: int = 0) -> Iterator[Weights]:
    """Draws G of G groups with replacement, R times.

    The draws depend on the number of groups and `seed` only: two models tested on the same groups
    get the same draws, so that differences of their metrics are paired.

    Args:
        groups: Number of groups, G.
        rows: Number of rows of the largest array that is computed from a block, such as the
            number of images; it limits the size of a block.
        draws: Number of draws, R.
        seed: Of the random numbers.

    Yields:
        Blocks of columns of the (G, R) counts: how often each group was drawn.
    """
    rng = np.random.default_rng(seed)
    block = max(8, min(256, _CELLS // max(groups, rows, 1)))
    for start in range(0, draws, block):
        columns = min(block, draws - start)
        drawn = rng.integers(groups, size=(columns, groups))
        drawn += groups * np.arange(columns)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=columns * groups)
        yield np.ascontiguousarray(counts.reshape(columns, groups).T, dtype=np.float32)


def bootstrap_estimates(
    statistic: Statistic, groups: int, rows: int = 0
) -> tuple[dict[str, Estimate], dict[str, Floats]]:
    """Estimates metrics with their intervals, and keeps the bootstrap draws.

    Args:
        statistic: Computes the metrics of weighted groups.
        groups: Number of groups, G.
        rows: See `resample`.

    Returns:
        Estimates with percentile intervals, and draws (R,), by name.
    """
    values = statistic(np.ones((groups, 1), dtype=np.float32))
    blocks = [statistic(weights) for weights in resample(groups, rows)]
    draws = {name: np.concatenate([block[name] for block in blocks]) for name in values}
    return {name: estimate(values[name][0], draws[name]) for name in values}, draws


def estimate(value: float, draws: Floats) -> Estimate:
    """Returns a value with the percentile interval of its bootstrap draws, without NaN draws."""
    if np.isnan(draws).all():
        return Estimate(float(value), np.nan, np.nan)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(float(value), float(low), float(high))


def means(values: Mapping[str, NDArray[Any]], groups: NDArray[Any]) -> tuple[Statistic, int]:
    """Returns the statistic that computes the mean of each metric over all rows.

    Args:
        values: (n,) values of each metric, by name.
        groups: (n,) group numbers of any values.

    Returns:
        The statistic and the number of groups.
    """
    codes, g = codes_of(groups)
    sizes = np.bincount(codes, minlength=g)
    sums = {name: np.bincount(codes, weights=v, minlength=g) for name, v in values.items()}

    def statistic(weights: Weights) -> dict[str, Floats]:
        total = sizes @ weights.astype(np.float64)
        return {name: (s @ weights.astype(np.float64)) / total for name, s in sums.items()}

    return statistic, g


def wilcoxon(scores: Floats, other_scores: Floats) -> float:
    """Returns the p-value of the Wilcoxon signed-rank test over groups; 1 if no group differs.

    Args:
        scores: (G,) score of each group.
        other_scores: (G,) scores of the same groups from another model.
    """
    from scipy import stats

    if np.array_equal(scores, other_scores):
        return 1.0
    return float(stats.wilcoxon(scores, other_scores).pvalue)
