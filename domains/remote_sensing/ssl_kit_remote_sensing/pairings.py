"""Positives from geography: what touches is usually the same kind of land.

Idea of Tile2Vec, https://arxiv.org/abs/1805.02855.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_kit import Index, Partners, UsageError

from .tiles import parse_keys

_AROUND = [(row, col) for row in (-1, 0, 1) for col in (-1, 0, 1) if (row, col) != (0, 0)]
Ints = NDArray[np.int64]


def neighbour(index: Index) -> Partners:
    """Pairs each tile with the up to eight of its scene that touch or overlap it.

    Raises:
        UsageError: If no two tiles touch.
    """
    if index.positions.shape[1] != 2:
        raise UsageError(_NONE)
    scene, corner = parse_keys(index.keys)
    size = 2 * (index.positions - corner)  # a position is the centre of a tile
    row, col = (_ranks(scene, line) for line in index.positions.T)
    width = max(row.max(), col.max()) + 3  # room for a step out of the scene on each side
    codes = (scene * width + row + 1) * width + col + 1
    order = np.argsort(codes)
    found = []
    for down, right in _AROUND:
        wanted = codes + down * width + right
        other = order[np.minimum(np.searchsorted(codes[order], wanted), len(codes) - 1)]
        # Where tiles without data were left out, the next in order does not touch.
        touches = (np.abs(index.positions[other] - index.positions) <= size).all(1)
        found.append(np.where((codes[other] == wanted) & touches, other, -1))
    return _pack(np.stack(found, axis=1))


_NONE = (
    "No two images are tiles that touch, so data.pair_by 'neighbour' finds no pairs. It needs "
    "scenes larger than a tile; see data.options.tile."
)


def _ranks(scene: Ints, place: NDArray[np.float32]) -> Ints:
    """Returns the number of each tile's row (or column) among those of its scene, from 0."""
    order = np.lexsort((place, scene))
    new_scene = np.diff(scene[order], prepend=-1) > 0
    count = np.cumsum(new_scene | (np.diff(place[order], prepend=-1) != 0))
    first = np.maximum.accumulate(np.where(new_scene, np.arange(len(count)), 0))
    rank = np.empty(len(place), np.int64)
    rank[order] = count - count[first]
    return rank


def _pack(found: Ints) -> Partners:
    """Packs (n, 8) partners, -1 for none, into rows of different length."""
    there = found >= 0
    if not there.any():
        raise UsageError(_NONE)
    stops = np.cumsum(there.sum(1))
    return Partners(found[there], stops - there.sum(1), stops)
