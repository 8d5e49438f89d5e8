"""Positives that are not augmentations: other windows of the same recording.

Banville et al. 2020, https://arxiv.org/abs/2007.16104, take windows that are close in time to show
the same state of the brain.
"""

from __future__ import annotations

import numpy as np

from ssl_kit import Index, Pairing, UsageError

from .windows import RECORDING, TIME


def recording(index: Index) -> Pairing:
    """Pairs each window with all others of its recording.

    Raises:
        UsageError: If windows have no place in a recording.
    """
    order, number = _in_order(index)
    starts = np.searchsorted(number[order], number, side="left")
    stops = np.searchsorted(number[order], number, side="right")
    return Pairing(order, starts, stops)


def neighbor(index: Index) -> Pairing:
    """Pairs each window with the one before and the one behind it.

    Raises:
        UsageError: If windows have no place in a recording.
    """
    wide = recording(index)
    rank = np.empty(len(index), np.int64)
    rank[wide.members] = np.arange(len(index))
    return Pairing(
        wide.members, np.maximum(wide.starts, rank - 1), np.minimum(wide.stops, rank + 2)
    )


def _in_order(index: Index) -> tuple[np.ndarray, np.ndarray]:
    if index.positions.shape[1] != 2:
        raise UsageError(
            "No two windows are of one recording. data.pair_by 'recording' and 'neighbor' need "
            "recordings; 'group' pairs by the groups that a labels.csv declares."
        )
    number = index.positions[:, RECORDING].astype(np.int64)
    return np.lexsort((index.positions[:, TIME], number)), number
