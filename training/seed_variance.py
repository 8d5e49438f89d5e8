"""How much of the variance of a mean over seeds is due to the choice of the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_FEWEST_FREEDOM = 2  # with 1, Student's quantile is 12.7


@dataclass(frozen=True)
class SeedVariance:
    """Variance of a mean over seeds that is due to the choice of the seeds.

    Attributes:
        total: Variance of the seeds, divided by their number.
        excess: What of it exceeds the interaction of seeds and groups, which the variance over
            groups contains.
        freedom: Degrees of freedom.
    """

    total: float
    excess: float
    freedom: float

    @property
    def counts(self) -> bool:
        """Whether there are enough seeds for intervals to cover them."""
        return self.freedom >= _FEWEST_FREEDOM


def pooled(seeds: Sequence[SeedVariance], independent: int) -> SeedVariance | None:
    """Averages the variance of seeds of several models or differences; None without any.

    Args:
        seeds: Of as many seeds each.
        independent: How many of them are independent; their degrees of freedom are added up.
    """
    if not seeds:
        return None
    total, excess = np.mean([[each.total, each.excess] for each in seeds], axis=0).tolist()
    return SeedVariance(total, excess, independent * seeds[0].freedom)
