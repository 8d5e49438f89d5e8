"""Copies of one image: equal pixels, and near copies by a thumbnail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.dataset import Image
from ..core.index import Index
from .pixels import full_scale
from .splits import Splits

_SIDE = 16  # pixels of the descriptor that copies are found by
_ALIKE = 0.995  # cosine of two descriptors


@dataclass(frozen=True)
class Copies:
    """Pairs of images that are equal or nearly so, among those that were looked at.

    Attributes:
        equal: Pairs with the same pixels.
        near: Further pairs of different groups whose thumbnails have a correlation above 0.995.
        across_groups: Pairs of equal images in different groups.
        across_classes: Pairs of either kind with different labels.
        across_split: Pairs of either kind of which one image is in the test part.
        example: Keys of one pair, the worst kind first; () if there is none.
    """

    equal: int
    near: int
    across_groups: int
    across_classes: int
    across_split: int
    example: tuple[str, ...]


def descriptor(image: Image) -> NDArray[np.float32]:
    """Returns a thumbnail (256,) with a mean of 0 and a length of 1; zeros for a constant image.

    Args:
        image: (H, W, C), uint8 or float32.
    """
    scale = full_scale(image.dtype)
    if image.shape[0] == 1:  # a signal: its channels are the rows
        image = np.ascontiguousarray(image[0].T)[..., None]
    while min(image.shape[:2]) > 8 * _SIDE:  # in its own type first, which is several times faster
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = cv2.resize(image, half, interpolation=cv2.INTER_AREA).reshape(*half[::-1], -1)
    mean = image.astype(np.float32).mean(axis=2)
    small = cv2.resize(mean, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).ravel()
    small = small - small.mean()
    length = float(np.linalg.norm(small))
    if length < 1e-4 * scale and float(mean.max() - mean.min()) < 1e-3 * scale:
        return np.zeros(_SIDE * _SIDE, dtype=np.float32)
    return np.asarray(small / max(length, 1e-12), dtype=np.float32)


def find_copies(
    positions: Sequence[int],
    digests: Sequence[str],
    descriptors: Sequence[NDArray[np.float32]],
    index: Index,
    splits: Splits,
) -> Copies:
    """Compares all pairs of some images.

    Args:
        positions: Positions of the n images in the dataset.
        digests: A hash of the pixels of each.
        descriptors: (256,) each, see `descriptor`.
        index: Of the dataset.
        splits: The parts of the dataset.
    """
    rows = np.array(positions)
    codes = np.unique(digests, return_inverse=True)[1]
    matrix = np.stack(descriptors)
    varied: NDArray[Any] = np.abs(matrix).max(axis=1) > 0
    alike: NDArray[Any] = (matrix @ matrix.T > _ALIKE) & np.outer(varied, varied)
    same: NDArray[Any] = (codes[:, None] == codes[None, :]) & np.outer(varied, varied)
    equal = np.triu(same, 1)
    groups = index.groups[rows]  # slices and frames of one group are alike by nature
    apart: NDArray[Any] = groups[:, None] != groups[None, :]
    near = np.triu(alike & apart, 1) & ~equal
    first, second = np.nonzero(equal | near)
    labels, in_test = index.labels[rows], np.isin(rows, splits.test)
    known = (labels[first] >= 0) & (labels[second] >= 0)
    other_class: NDArray[Any] = known & (labels[first] != labels[second])
    across: NDArray[Any] = in_test[first] != in_test[second]
    worst = np.argsort(-(2 * across + other_class.astype(int)), kind="stable")[:1]
    pair = [index.key(rows[i[w]]) for w in worst for i in (first, second)]
    return Copies(
        int(equal.sum()),
        int(near.sum()),
        int((equal & apart).sum()),
        int(other_class.sum()),
        int(across.sum()),
        tuple(pair),
    )
