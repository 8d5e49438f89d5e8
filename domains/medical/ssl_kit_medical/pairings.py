"""Positives that are not augmentations: other images of the same patient, study or volume.

Multi-Instance Contrastive Learning of "Big Self-Supervised Models Advance Medical Image
Classification", Azizi et al., 2021, https://arxiv.org/abs/2101.05224: two images of one case are
two views of it. The kit's own pairing "group" is the same patient.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_kit import Index, Pairing, UsageError
from ssl_kit.data import pair_adjacent, pair_equal

from .volumes import PLACE, STUDY, VOLUME


def study(index: Index) -> Pairing:
    """Pairs each image with the other views and sequences of its study.

    Raises:
        UsageError: If no study has two images.
    """
    return _alike(index, STUDY)


def volume(index: Index) -> Pairing:
    """Pairs each slice with the others of its volume.

    Raises:
        UsageError: If no volume has two slices.
    """
    return _alike(index, VOLUME)


def neighbor(index: Index) -> Pairing:
    """Pairs each slice with the slices directly below and above it.

    Raises:
        UsageError: If no volume has two slices.
    """
    _alike(index, VOLUME)
    return pair_adjacent(_column(index, VOLUME), index.positions[:, PLACE])


def _alike(index: Index, column: int) -> Pairing:
    pairing = pair_equal(_column(index, column))
    if not (pairing.stops - pairing.starts > 1).any():
        raise UsageError(_NONE)
    return pairing


def _column(index: Index, column: int) -> NDArray[np.int64]:
    if index.positions.shape[1] != 3:
        raise UsageError(_NONE)
    return index.positions[:, column].astype(np.int64)


_NONE = (
    "No two images are of one study or volume. data.pair_by 'study', 'volume' and 'neighbor' need "
    "DICOM series or NIfTI volumes; 'group' pairs by the groups that a labels.csv declares."
)
