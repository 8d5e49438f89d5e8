"""Positives that are not augmentations: which images show the same thing as an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pairing:
    """Who may stand in for whom: image i with any of `members[starts[i]:stops[i]]`.

    Rows may overlap, so that a group of a million images needs no more than its members.

    Attributes:
        members: (m,) positions in the dataset, int64; a row has none of them twice.
        starts: (n,) first member of each image's row, int64.
        stops: (n,) one past the last member of each image's row, int64.
    """

    members: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]

    def pick(self, index: int, rng: np.random.Generator) -> int:
        """Draws a partner other than the image, each with the same chance; itself if none."""
        row = self.members[self.starts[index] : self.stops[index]]
        row = row[row != index]
        return int(row[rng.integers(len(row))]) if len(row) else index

    def within(self, pool: NDArray[np.int64]) -> Pairing:
        """Returns the same without images outside the pool (p,): no test image is a partner."""
        kept = np.isin(self.members, pool)
        before = np.concatenate([[0], np.cumsum(kept)])
        return Pairing(self.members[kept], before[self.starts], before[self.stops])
