"""Positives by location: adjacent tiles of a slide usually show the same tissue."""

from __future__ import annotations

import numpy as np

from ssl_kit import Index, Pairing, UsageError
from ssl_kit.data import grid_neighbors, pair_edges, parse_tile_keys


def neighbors(index: Index) -> Pairing:
    """Pairs each tile with its up to eight neighbors on its slide.

    Raises:
        UsageError: If no two tiles lie side by side.
    """
    if index.positions.shape[1] != 2:
        raise UsageError(_NONE)
    places = index.positions.astype(np.int64)
    apart = np.ptp(places[:, 0]) + 2  # slides are below each other, with an empty row between them
    _, slides, _ = parse_tile_keys(index.keys)
    edges = grid_neighbors(places + np.outer(slides * apart, [1, 0]))
    if not edges.size:
        raise UsageError(_NONE)
    return pair_edges(edges, len(index))


_NONE = (
    "No two images are tiles side by side, so data.pair_by 'neighbors' finds no pairs. It needs "
    "whole slides; 'group' pairs the patches of a slide by the groups that a labels.csv declares."
)
