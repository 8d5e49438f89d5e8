"""Pairings that every domain has: neighbors in a grid, images of one group."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.dataset import Index
from ..core.pairing import Pairing


def grid_neighbors(places: ArrayLike) -> NDArray[np.int64]:
    """Joins what lies side by side: in rows and columns each with the up to eight around it.

    Args:
        places: (n, P) whole numbers.

    Returns:
        (2, e): from one to its neighbor, each pair in both directions, sorted.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(np.asarray(places, dtype=np.float64))
    pairs = tree.query_pairs(1, p=np.inf, output_type="ndarray").T.astype(np.int64)
    edges = np.concatenate([pairs, pairs[::-1]], axis=1)
    return edges[:, np.lexsort((edges[1], edges[0]))]


def same_group(index: Index) -> Pairing:
    """Pairs each image with the others of its group: slide, patient, place, recording."""
    order = np.argsort(index.groups, kind="stable")
    groups = index.groups[order]
    starts = np.searchsorted(groups, index.groups, side="left")
    stops = np.searchsorted(groups, index.groups, side="right")
    return Pairing(order, starts, stops)
