"""Confidence intervals of metrics and of their differences, by a jackknife over test groups.

A metric is computed on all test groups, and again without each group in turn. These numbers of two
models are subtracted from each other, so that intervals of differences are paired. The coverage of
these intervals and of others that were tried is in docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .freedom import degrees_of_freedom
from .seed_variance import SeedVariance

MOST = 400  # groups that are left out in turn; more groups are left out several at a time
FEWEST = 6  # groups, below which no test by signs gets under 0.05
_CELLS = 2**17  # of a block of weights: it should fit into the cache of a processor
_NOISE = 1e-6  # of rounding
Floats = NDArray[np.float64]
Weights = NDArray[np.float32]

Statistic = Callable[[Weights], Mapping[str, Floats]]
"""Maps weights (G, R), how often each of G groups counts in each of R columns, to metrics (R,)."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; the ends are NaN where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Jackknife:
    """A metric on all test groups and without each group in turn, for each seed.

    Attributes:
        values: (S, 1 + G): first on all groups, then without each of G groups, for S seeds.
        sizes: (G,) number of images of each group, or 1 where each group counts once.
        limits: Smallest and largest value that the metric can have.
        terms: The two metrics of a difference. A group that both of them rest on counts, even if
            the models agree on it.
        most_freedom: Largest degrees of freedom, below which the groups of rare classes keep the
            metric; see `class_freedom`.
    """

    values: Floats
    sizes: Floats
    limits: tuple[float, float] = (0.0, 1.0)
    terms: tuple[Jackknife, ...] = ()
    most_freedom: float = float("inf")

    def __sub__(self, other: Jackknife) -> Jackknife:
        """Returns the paired difference; a single seed is compared with each of several."""
        low, high = self.limits[0] - other.limits[1], self.limits[1] - other.limits[0]
        most = min(self.most_freedom, other.most_freedom)
        return Jackknife(self.values - other.values, self.sizes, (low, high), (self, other), most)

    @property
    def _influence(self) -> Floats:
        """(G,) magnitude of the change without each group, of a difference that of its terms."""
        mean = self.values.mean(axis=0)
        influence: Floats = np.abs(mean[1:] - mean[0])
        if self.terms:
            influence = np.sum([term._influence for term in self.terms], axis=0)
        return influence

    @property
    def seeds(self) -> SeedVariance | None:
        """The variance of its own seeds; None if there is one seed, or below two groups."""
        seeds = len(self.values)
        if seeds == 1 or self.values.shape[1] < 3 or not np.isfinite(self.values).all():
            return None
        total = float(self.values[:, 0].var(ddof=1)) / seeds
        changes = self.values[:, 1:] - self.values[:, :1]
        own = changes - changes.mean(axis=0)
        shared = sum(map(_jackknife_variance, own)) / (seeds - 1) / seeds
        return SeedVariance(total, total - shared, seeds - 1)

    def estimate(self, seeds: SeedVariance | None = None) -> Estimate:
        """Returns the mean over seeds with its interval, which covers groups and seeds.

        It is Wilson's score interval (1927, https://doi.org/10.1080/01621459.1927.10502953) of the
        metric, scaled from its limits to [0, 1], with Student's quantile and as many observations
        as give the variance of the jackknife: asymmetric near a limit, elsewhere like Student's
        interval. Seeds whose variance has fewer than two degrees of freedom, such as one or two
        seeds, stand for themselves only. There is no interval below two groups, or where the
        metric is not defined without one of them.

        Args:
            seeds: The variance of seeds, pooled over several models; that of its own by default.
        """
        value, share, variance, freedom = self._moments(seeds)
        if not np.isfinite(variance):
            return Estimate(value, np.nan, np.nan)
        if variance <= _NOISE**2 or not _NOISE < share < 1 - _NOISE:
            return self._alike(value)
        low, high = self.limits
        spread = variance / (high - low) ** 2
        observations = share * (1 - share) / spread
        t = float(stats.t.ppf(0.975, freedom))
        shrunk = 1 + t**2 / observations
        center = (share + t**2 / (2 * observations)) / shrunk
        half = t * (spread + (t / (2 * observations)) ** 2) ** 0.5 / shrunk
        ends = [low + (high - low) * (center + side * half) for side in (-1, 1)]
        return Estimate(value, *ends)

    def p_value(self, seeds: SeedVariance | None = None) -> float:
        """Returns the two-sided p-value of no difference; NaN if there is no interval.

        It is the smallest share of error at which the interval of `estimate` excludes 0, so that
        it is below 0.05 if and only if the 95 % interval does.

        Args:
            seeds: See `estimate`.
        """
        value, share, variance, freedom = self._moments(seeds)
        low, high = self.limits
        if not np.isfinite(variance):
            return float("nan")
        none = -low / (high - low)  # 0, scaled as the share is
        if variance <= _NOISE**2 or not _NOISE < share < 1 - _NOISE:
            if abs(value) <= _NOISE:
                return 1.0
            reached = none / share if value > 0 else (1 - none) / (1 - share)
            return float(min(1.0, 2 * reached ** len(self.sizes)))
        error = (variance * none * (1 - none) / (share * (1 - share))) ** 0.5 / (high - low)
        return float(2 * stats.t.sf(abs(share - none) / error, freedom))

    @property
    def standard_error(self) -> float:
        """Standard error of the mean, over groups and however few seeds; NaN below two groups."""
        mean, own = self.values.mean(axis=0), self.seeds
        if len(mean) < 3:
            return float("nan")
        excess = max(0.0, own.excess) if own else 0.0
        return float((_jackknife_variance(mean[1:] - mean[0]) + excess) ** 0.5)

    def _moments(self, seeds: SeedVariance | None) -> tuple[float, float, float, float]:
        """Returns value, share, variance over groups and seeds, and its degrees of freedom.

        The share is the value, scaled from the limits to [0, 1]. The variance is NaN where there
        is no interval.

        Groups and seeds are crossed random effects. The variance over groups contains that of their
        interaction, so that seeds add only what exceeds it. The degrees of freedom are
        Satterthwaite's.
        """
        (low, high), mean = self.limits, self.values.mean(axis=0)
        value, changes = float(mean[0]), mean[1:] - mean[0]
        share = (value - low) / (high - low)
        if len(changes) < 2 or not np.isfinite(mean).all():
            return value, share, float("nan"), float("nan")
        of_groups, own = _jackknife_variance(changes), self.seeds
        freedom = min(self.most_freedom, degrees_of_freedom(self._influence, self.sizes))
        differs = of_groups > _NOISE**2 or (own is not None and own.total > _NOISE**2)
        seeds = seeds or own
        if seeds is None or not (seeds.counts and seeds.excess > 0 and differs):
            return value, share, of_groups, freedom
        variance = of_groups + seeds.excess
        joint = of_groups**2 / freedom + seeds.total**2 / seeds.freedom
        return value, share, variance, variance**2 / joint

    def _alike(self, value: float) -> Estimate:
        """Returns the interval where all groups agree.

        If all G groups have the same value, at least a share 0.025^(1/G) of all groups has it, with
        97.5 % confidence; others may have any value between the limits. Where two models are alike
        in all groups there is no difference to enclose.
        """
        if self.terms and abs(value) <= _NOISE:
            return Estimate(value, value, value)
        share = 0.025 ** (1 / len(self.sizes))
        low, high = (share * value + (1 - share) * limit for limit in self.limits)
        return Estimate(value, low, high)


def _jackknife_variance(changes: Floats) -> float:
    return float((len(changes) - 1) / len(changes) * (changes**2).sum())


def codes_of(groups: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """Numbers groups from 0 in sorted order: (n,) codes, and how many groups there are."""
    names, codes = np.unique(groups, return_inverse=True)
    return codes.astype(np.int64), len(names)


def left_out(groups: int) -> NDArray[np.int64]:
    """Returns in which step each group is left out, (G,).

    Up to 400 groups are left out one at a time. More groups are dealt at random into 400 sets of
    nearly equal number; the sets depend on the number of groups only, so that two models tested
    on the same groups stay paired.
    """
    steps = np.arange(groups, dtype=np.int64) % MOST
    return steps if groups <= MOST else np.random.default_rng(groups).permutation(steps)


def _weights(steps: NDArray[np.int64], rows: int) -> Iterator[Weights]:
    """Yields blocks of columns of weights: ones, then 0 for what is left out in each step."""
    columns = np.arange(-1, steps.max() + 1 if len(steps) > 1 else 0)  # a single group stays
    block = max(8, min(256, _CELLS // max(len(steps), rows, 1)))
    for start in range(0, len(columns), block):
        yield (steps[:, None] != columns[start : start + block]).astype(np.float32)


def jackknife(
    statistic: Statistic,
    sizes: NDArray[Any],
    rows: int = 0,
    limits: Mapping[str, tuple[float, float]] = MappingProxyType({}),
    most_freedom: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, Jackknife]:
    """Computes metrics on all groups and without each group in turn.

    Args:
        statistic: Computes the metrics of weighted groups.
        sizes: (G,) number of images of each group.
        rows: Number of rows of the largest array that is computed from a block of weights, such
            as the number of images; it limits the size of a block.
        limits: Smallest and largest value of metrics, by name. Without them Cohen's kappa is taken
            to lie in [-1, 1], all others in [0, 1].
        most_freedom: Largest degrees of freedom of metrics, by name; see `Jackknife`.

    Returns:
        By name of the metric.
    """
    steps = left_out(len(sizes))
    blocks = [statistic(weights) for weights in _weights(steps, rows)]
    joined = np.bincount(steps, weights=sizes).astype(np.float64)
    return {
        name: Jackknife(
            np.concatenate([block[name] for block in blocks])[None].astype(np.float64),
            joined,
            limits.get(name, (-1.0 if "kappa" in name else 0.0, 1.0)),
            most_freedom=most_freedom.get(name, float("inf")),
        )
        for name in blocks[0]
    }


def means(values: Mapping[str, NDArray[Any]], groups: NDArray[Any]) -> tuple[Statistic, Floats]:
    """Returns the statistic that computes the mean of each metric over all rows.

    Args:
        values: (n,) values of each metric, by name.
        groups: (n,) group numbers of any values.

    Returns:
        The statistic, and the (G,) number of rows of each group.
    """
    codes, g = codes_of(groups)
    sizes = np.bincount(codes, minlength=g).astype(np.float64)
    sums = {name: np.bincount(codes, weights=v, minlength=g) for name, v in values.items()}

    def statistic(weights: Weights) -> dict[str, Floats]:
        total = sizes @ weights.astype(np.float64)
        return {name: (s @ weights.astype(np.float64)) / total for name, s in sums.items()}

    return statistic, sizes
