"""Which tiles of a slide lie side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
_AROUND = [(row, col) for row in (-1, 0, 1) for col in (-1, 0, 1) if (row, col) != (0, 0)]


def eight_neighbours(positions: ArrayLike) -> Ints:
    """Joins each tile with the up to eight around it.

    Args:
        positions: (n, 2) whole numbers, row and column of the tiles of one slide, all different.

    Returns:
        (2, e): from tile edges[0] to tile edges[1], each edge in both directions, sorted.
    """
    places = np.asarray(positions).reshape(-1, 2).astype(np.int64)
    if not len(places):
        return np.zeros((2, 0), np.int64)
    places = places - places.min(axis=0) + 1
    width = int(places[:, 1].max()) + 2  # room for a step out of the slide on each side
    codes = places[:, 0] * width + places[:, 1]
    order = np.argsort(codes)
    found = []
    for down, right in _AROUND:
        wanted = codes + down * width + right
        other = order[np.minimum(np.searchsorted(codes[order], wanted), len(codes) - 1)]
        here = np.flatnonzero(codes[other] == wanted)
        found.append(np.stack([here, other[here]]))
    edges = np.concatenate(found, axis=1)
    return edges[:, np.lexsort((edges[1], edges[0]))]
