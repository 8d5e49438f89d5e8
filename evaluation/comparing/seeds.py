"""The variance of seeds at one label budget, pooled over the arms of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from ...training.intervals import Jackknife
from ...training.seed_variance import SeedVariance, pooled
from ..result import Result

_SAME = 1e-9  # differences of a metric that are due to rounding


class PooledSeeds:
    """How much the seeds of labels and weights contribute to the intervals of one label budget.

    A few seeds tell little of their variance. The arms have the same seeds, so that all of them
    tell of it. Arms that no seed has an influence on (see `varies`) do not take part, and of arms
    with the same values, such as a run that kept the weights of its start and that start, one does.

    Args:
        arms: Mean result of each arm.
    """

    def __init__(self, arms: Sequence[Result]) -> None:
        self._arms = arms

    def of_arm(self, metric: str) -> SeedVariance | None:
        """Returns the variance of the seeds of an arm that varies; each such arm tells of it."""
        jackknives = self._jackknives(metric)
        return _pooled(jackknives, len(jackknives))

    def of_difference(self, ours: Result, theirs: Result, metric: str) -> SeedVariance | None:
        """Returns that of the difference of two arms, paired by seed; None if no seed matters.

        Of A arms, A - 1 differences are independent. Where these are too few, and where only one
        of the two arms varies with the seed, the variance is the sum of those of the arms, which is
        too large as far as the same labels move both arms alike.
        """
        several, of_arm = sum(varies(arm, metric) for arm in (ours, theirs)), self.of_arm(metric)
        if several == 0 or of_arm is None:
            return None
        if several == 2:
            jackknives = self._jackknives(metric)
            pairs = [a - b for a, b in combinations(jackknives, 2)]
            paired = _pooled(pairs, len(jackknives) - 1)
            if paired and paired.counts:
                return paired
        return SeedVariance(several * of_arm.total, several * of_arm.excess, of_arm.freedom)

    def _jackknives(self, metric: str) -> list[Jackknife]:
        """Returns those of the arms that vary with the seed, each of equal ones once."""
        kept = [arm.jackknife[metric] for arm in self._arms if varies(arm, metric)]
        values = {each.values.tobytes(): each for each in kept if each.seeds}
        return list(values.values())


def varies(arm: Result, metric: str) -> bool:
    """Tells whether the seed has an influence on a metric of an arm.

    It has none where the arm has a single seed, and where a metric is the same at all seeds, on all
    groups and without each: a budget that buys all labels draws the same at each seed.

    Args:
        arm: Mean result of the arm.
        metric: Its name.
    """
    if metric not in arm.jackknife:
        return False
    values = arm.jackknife[metric].values
    return len(values) > 1 and not np.allclose(
        values, values[0], rtol=0, atol=_SAME, equal_nan=True
    )


def _pooled(jackknives: Sequence[Jackknife], independent: int) -> SeedVariance | None:
    return pooled([each.seeds for each in jackknives if each.seeds], independent)
