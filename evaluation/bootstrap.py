"""How sure a figure is: bootstrap over groups, the same for all that was tested on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
_CELLS = 2**17  # of a block of weights: what a processor keeps near it
Floats = NDArray[np.float64]
Weights = NDArray[np.float32]

Statistic = Callable[[Weights], Mapping[str, Floats]]
"""Maps weights (G, R), how often each group counts in each draw, to metrics, (R,) each."""


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
    """Draws as many groups as there are, with replacement.

    The draws depend on the number of groups and `seed` only: two arms tested on the same groups
    are resampled alike, so that differences of their draws are paired.

    Args:
        groups: G.
        rows: Of the largest array that a block will become, such as the number of images.
        draws: R.
        seed: Of the draws.

    Yields:
        Blocks of columns of (G, R): how often each group was drawn.
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
    """Estimates metrics and keeps their bootstrap draws.

    Args:
        statistic: Gives the metrics of weighted groups.
        groups: G.
        rows: See `resample`.

    Returns:
        Estimates with percentile intervals, and draws (R,), by name.
    """
    values = statistic(np.ones((groups, 1), dtype=np.float32))
    blocks = [statistic(weights) for weights in resample(groups, rows)]
    draws = {name: np.concatenate([block[name] for block in blocks]) for name in values}
    return {name: estimate(values[name][0], draws[name]) for name in values}, draws


def estimate(value: float, draws: Floats) -> Estimate:
    """Makes an estimate from a value and its bootstrap draws (percentile interval)."""
    if np.isnan(draws).all():
        return Estimate(float(value), np.nan, np.nan)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(float(value), float(low), float(high))


def means(values: Mapping[str, NDArray[Any]], groups: NDArray[Any]) -> tuple[Statistic, int]:
    """Makes the statistic "mean over rows" of some values.

    Args:
        values: (n,) each, by name.
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


def wilcoxon(ours: Floats, theirs: Floats) -> float:
    """P-value of the Wilcoxon signed-rank test over groups; 1 if no group differs.

    Args:
        ours: (G,) a score of each group.
        theirs: (G,) that of the other arm.
    """
    from scipy import stats

    if np.array_equal(ours, theirs):
        return 1.0
    return float(stats.wilcoxon(ours, theirs).pvalue)
