"""Positives that are not augmentations: other windows of the same recording.

Contrastive Learning of General-Purpose Audio Representations, Saeed, Grangier, Zeghidour, 2021,
https://arxiv.org/abs/2010.10915, take two excerpts of a recording.
"""

from __future__ import annotations

import numpy as np

from ssl_kit import Index, Pairing, UsageError
from ssl_kit.data import pair_adjacent, pair_equal

from .windows import RECORDING, TIME


def recording(index: Index) -> Pairing:
    """Pairs each window with all others of its recording.

    Raises:
        UsageError: If windows have no position in a recording.
    """
    return pair_equal(*_recording_and_time(index))


def neighbor(index: Index) -> Pairing:
    """Pairs each window with the one before and the one after it.

    Raises:
        UsageError: If windows have no position in a recording.
    """
    return pair_adjacent(*_recording_and_time(index))


def _recording_and_time(index: Index) -> tuple[np.ndarray, np.ndarray]:
    if index.positions.shape[1] != 2:
        raise UsageError(
            "No two windows are of one recording. data.pair_by 'recording' and 'neighbor' need "
            "audio files; 'group' pairs by the groups that are declared, such as speakers."
        )
    return index.positions[:, RECORDING].astype(np.int64), index.positions[:, TIME]
