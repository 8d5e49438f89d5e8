"""Pairings that several domains use: neighbors in a grid or in a sequence, images of a group."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import UsageError
from ..core.index import Index
from ..core.pairing import Pairing


def grid_neighbors(places: ArrayLike) -> NDArray[np.int64]:
    """Finds the up to eight neighbors of each place in a grid of rows and columns.

    Args:
        places: (n, P) whole numbers: row, column, ...

    Returns:
        (2, e) edges from a place to its neighbor; each pair in both directions, sorted.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(np.asarray(places, dtype=np.float64))
    pairs = tree.query_pairs(1, p=np.inf, output_type="ndarray").T.astype(np.int64)
    edges = np.concatenate([pairs, pairs[::-1]], axis=1)
    return edges[:, np.lexsort((edges[1], edges[0]))]


def same_group(index: Index) -> Pairing:
    """Pairs each image with the others of its group: slide, patient, scene, recording."""
    return pair_equal(index.groups)


def same_recording(index: Index) -> Pairing:
    """Pairs each window of a signal with all others of its recording.

    Args:
        index: Its positions (n, 2) are the number of the recording and the time of each window.

    Raises:
        UsageError: If windows have no position in a recording.
    """
    return pair_equal(*_recording_and_time(index))


def next_in_recording(index: Index) -> Pairing:
    """Pairs each window of a signal with the one before and the one after it.

    Args:
        index: As for `same_recording`.

    Raises:
        UsageError: If windows have no position in a recording.
    """
    return pair_adjacent(*_recording_and_time(index))


def _recording_and_time(index: Index) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    if index.positions.shape[1] != 2:
        raise UsageError(
            "No two windows are of one recording. data.pair_by 'recording' and 'neighbor' need "
            "recordings; 'group' pairs by the groups that are declared, such as subjects."
        )
    return index.positions[:, 0].astype(np.int64), index.positions[:, 1]


def pair_equal(numbers: ArrayLike, order_by: ArrayLike | None = None) -> Pairing:
    """Pairs each image with all others that have the same number.

    Args:
        numbers: (n,) number of the volume, the recording or the group of each image.
        order_by: (n,) place within it, by which the rows of the pairing are sorted.
    """
    numbers = np.asarray(numbers)
    places = np.zeros(len(numbers)) if order_by is None else np.asarray(order_by)
    order = np.lexsort((places, numbers))
    starts = np.searchsorted(numbers[order], numbers, side="left")
    stops = np.searchsorted(numbers[order], numbers, side="right")
    return Pairing(order, starts, stops)


def pair_adjacent(numbers: ArrayLike, order_by: ArrayLike) -> Pairing:
    """Pairs each image with the one before and the one after it that have the same number.

    Args:
        numbers: (n,) number of the volume or the recording of each image.
        order_by: (n,) place within it.
    """
    whole = pair_equal(numbers, order_by)
    rank = np.empty_like(whole.members)
    rank[whole.members] = np.arange(len(rank))
    starts, stops = np.maximum(whole.starts, rank - 1), np.minimum(whole.stops, rank + 2)
    return Pairing(whole.members, starts, stops)


def pair_edges(edges: NDArray[np.int64], n: int) -> Pairing:
    """Pairs images by edges (2, e) from an image to its partner, sorted by the first row."""
    numbers = np.arange(n)
    starts = np.searchsorted(edges[0], numbers, side="left")
    stops = np.searchsorted(edges[0], numbers, side="right")
    return Pairing(edges[1], starts, stops)
