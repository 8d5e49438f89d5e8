"""Positives from the slide: what lies side by side is usually the same tissue."""

from __future__ import annotations

import numpy as np

from ssl_kit import Index, Pairing, UsageError
from ssl_kit.data import grid_neighbors

from .tiles import slides_of


def neighbors(index: Index) -> Pairing:
    """Pairs each tile with the up to eight around it on its slide.

    Raises:
        UsageError: If no two tiles lie side by side.
    """
    if index.positions.shape[1] != 2:
        raise UsageError(_NONE)
    places = index.positions.astype(np.int64)
    apart = np.ptp(places[:, 0]) + 2  # slides one below the other, with a free row between them
    edges = grid_neighbors(places + np.outer(slides_of(index.keys) * apart, [1, 0]))
    if not edges.size:
        raise UsageError(_NONE)
    numbers = np.arange(len(index))
    starts = np.searchsorted(edges[0], numbers, side="left")
    stops = np.searchsorted(edges[0], numbers, side="right")
    return Pairing(edges[1], starts, stops)


_NONE = (
    "No two images are tiles side by side, so data.pair_by 'neighbors' finds no pairs. It needs "
    "whole slides; 'group' pairs the patches of a slide by the groups that a labels.csv declares."
)
