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
    names, slides, _ = parse_tile_keys(index.keys)
    if (names[slides] != index.keys).any():  # tiles of slides, and no files of their own
        apart = np.ptp(places[:, 0]) + 2  # slides are below each other, an empty row between them
        places += np.outer(slides * apart, [1, 0])
    edges = grid_neighbors(places)
    if not edges.size:
        raise UsageError(_NONE)
    return pair_edges(edges, len(index))


_NONE = (
    "No two images are tiles side by side, so data.pair_by 'neighbors' finds no pairs. It needs "
    "whole slides, or patches whose names have a row and a column, such as slide_r3_c12.png; "
    "'group' pairs the patches of a slide by the groups that a labels.csv declares."
)
