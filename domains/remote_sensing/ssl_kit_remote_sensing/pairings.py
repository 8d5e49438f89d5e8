"""Positives by location: tiles that touch or are near, and the same place on another date.

Neighbors are the idea of Tile2Vec, https://arxiv.org/abs/1805.02855; seasons that of SeCo,
https://arxiv.org/abs/2103.16607.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ssl_kit import Index, Pairing, UsageError
from ssl_kit.data import parse_tile_keys

_AROUND = [(row, col) for row in (-1, 0, 1) for col in (-1, 0, 1) if (row, col) != (0, 0)]
_MOST = 64  # partners of a tile: the nearest ones
_AT_ONCE = 8192  # tiles whose partners are looked up together, so that memory stays flat
_DATE = re.compile(rb"(?<!\d)((?:19|20)\d\d)[-_]?(0[1-9]|1[0-2])[-_]?(0[1-9]|[12]\d|3[01])(?!\d)")
Ints = NDArray[np.int64]


def neighbor(index: Index) -> Pairing:
    """Pairs each tile with the up to eight of its scene that touch or overlap it.

    Raises:
        UsageError: If no two tiles touch.
    """
    if index.positions.shape[1] < 2:
        raise UsageError(_NONE)
    _, scene, corner = parse_tile_keys(index.keys)
    place = index.positions[:, :2]
    size = 2 * (place - corner)  # a position is the center of a tile
    row, col = (_ranks(scene, line) for line in place.T)
    width = max(row.max(), col.max()) + 3  # room for a step out of the scene on each side
    codes = (scene * width + row + 1) * width + col + 1
    order = np.argsort(codes)
    partners = []
    for down, right in _AROUND:
        wanted = codes + down * width + right
        other = order[np.minimum(np.searchsorted(codes[order], wanted), len(codes) - 1)]
        # Where tiles without data were left out, the next in order does not touch.
        touches = (np.abs(place[other] - place) <= size).all(1)
        partners.append(np.where((codes[other] == wanted) & touches, other, -1))
    return _pack([np.stack(partners, axis=1)], _NONE)


def neighbors(index: Index) -> Pairing:
    """Pairs each tile with the tiles of all files whose centers are near on the map.

    Raises:
        UsageError: If the files have no map, or no two tiles are near.
    """
    near = _column(index, 6, "neighbors")
    return _pack(
        _nearest(index, near.max(), lambda i, j, distance: distance <= near[i]),
        "No two tiles are near on the map, so data.pair_by 'neighbors' finds no pairs. Give a "
        "larger data.options.near, in meters.",
    )


def seasons(index: Index) -> Pairing:
    """Pairs each tile with those of the same place in other files, unless they have its date.

    The same place: the centers are at most half a tile apart. Dates are read from the names of
    the files (20160517, 2016-05-17); one without a date differs from all others.

    Raises:
        UsageError: If the files have no map, or no place was seen twice.
    """
    side = _column(index, 5, "seasons")
    names, scene, _ = parse_tile_keys(index.keys)
    date = np.array([_date(name) or -1 - i for i, name in enumerate(names.tolist())])[scene]

    def another(i: Ints, j: Ints, distance: NDArray[np.float64]) -> NDArray[np.bool_]:
        same_place = distance <= np.minimum(side[i], side[j]) / 2
        return np.asarray(same_place & (scene[i] != scene[j]) & (date[i] != date[j]))

    return _pack(
        _nearest(index, side.max() / 2, another),
        "No place is in two files of different dates, so data.pair_by 'seasons' finds no pairs.",
    )


_NONE = (
    "No two images are tiles that touch, so data.pair_by 'neighbor' finds no pairs. It needs "
    "scenes larger than a tile; see data.options.tile."
)


def _column(index: Index, number: int, pairing: str) -> NDArray[np.float64]:
    if index.positions.shape[1] != 7 or not len(index):
        raise UsageError(
            f"data.pair_by '{pairing}' needs files that all tell where on the map they lie. Tiles "
            "of files that do not are paired by 'neighbor'."
        )
    return index.positions[:, number].astype(np.float64)


def _date(name: bytes) -> int:
    date = _DATE.search(name)
    return int(b"".join(date.groups())) if date else 0


def _nearest(
    index: Index,
    reach: float,
    fits: Callable[[Ints, Ints, NDArray[np.float64]], NDArray[np.bool_]],
) -> list[Ints]:
    """Returns chunks of (n, K) partners, -1 for none: of the nearest those that fit.

    Args:
        index: With places in meters.
        reach: No partner is further away, meters.
        fits: Tells it of tiles i, tiles j and their distances.
    """
    place = index.positions[:, 2:5].astype(np.float64)
    tree, count = cKDTree(place), min(_MOST + 1, len(place))
    chunks = []
    for start in range(0, len(place), _AT_ONCE):
        here = np.arange(start, min(start + _AT_ONCE, len(place)))
        distance, nearest = tree.query(
            place[here], k=np.arange(1, count + 1), distance_upper_bound=reach * 1.001
        )
        within = np.isfinite(distance)
        i, j = np.broadcast_to(here[:, None], nearest.shape), np.where(within, nearest, 0)
        kept = within & (i != j) & fits(i, j, distance)
        chunks.append(np.where(kept, j, -1)[:, : kept.any(0).nonzero()[0].max(initial=0) + 1])
    return chunks


def _ranks(scene: Ints, place: NDArray[np.float32]) -> Ints:
    """Returns the number of each tile's row (or column) among those of its scene, from 0."""
    order = np.lexsort((place, scene))
    new_scene = np.diff(scene[order], prepend=-1) > 0
    count = np.cumsum(new_scene | (np.diff(place[order], prepend=-1) != 0))
    first = np.maximum.accumulate(np.where(new_scene, np.arange(len(count)), 0))
    rank = np.empty(len(place), np.int64)
    rank[order] = count - count[first]
    return rank


def _pack(partners: list[Ints], none: str) -> Pairing:
    """Packs (n, K) partners, -1 for none, into rows of different length."""
    known = [chunk >= 0 for chunk in partners]
    members = np.concatenate([chunk[kept] for chunk, kept in zip(partners, known, strict=True)])
    if not len(members):
        raise UsageError(none)
    counts = np.concatenate([kept.sum(1) for kept in known])
    stops = np.cumsum(counts)
    return Pairing(members, stops - counts, stops)
