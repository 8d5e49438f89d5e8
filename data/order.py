"""The order in which images are loaded, a pure function of seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from .splits import Positions


class Stream(Sampler[tuple[int, Positions]]):
    """The endless order of batches: each epoch a new permutation, its rest dropped.

    Args:
        pool: Positions to draw from.
        batch_size: Of all processes together.
        seed: Of the run.
        start: Number of the first batch, from 0.
        rank: This process.
        world: Number of processes; each takes every world-th image of a batch.
        accumulate: Number of batches in an optimizer step; an epoch has whole steps.
    """

    def __init__(
        self,
        pool: Positions,
        batch_size: int,
        seed: int,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
        accumulate: int = 1,
    ) -> None:
        self._pool, self._batch_size, self._seed = pool, batch_size, seed
        self._start, self._rank, self._world = start, rank, world
        self._per_epoch = len(pool) // (batch_size * accumulate) * accumulate

    def __iter__(self) -> Iterator[tuple[int, Positions]]:
        epoch, skip = divmod(self._start, self._per_epoch)
        while True:
            order = np.random.default_rng((self._seed, epoch)).permutation(self._pool)
            for batch in range(skip, self._per_epoch):
                rows = order[batch * self._batch_size : (batch + 1) * self._batch_size]
                yield epoch, rows[self._rank :: self._world]
            epoch, skip = epoch + 1, 0


class Once(Sampler[tuple[int, Positions]]):
    """Each position once, in order, in batches; for evaluation."""

    def __init__(self, pool: Positions, batch_size: int) -> None:
        self._pool, self._batch_size = pool, batch_size

    def __iter__(self) -> Iterator[tuple[int, Positions]]:
        for start in range(0, len(self._pool), self._batch_size):
            yield 0, self._pool[start : start + self._batch_size]
