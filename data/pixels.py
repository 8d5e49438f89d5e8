"""What a pixel value is: uint8 from 0 to 255, or float32 from 0 to 1."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.dataset import Image


class _DType(Protocol):
    @property
    def itemsize(self) -> int: ...


def full_scale(dtype: _DType) -> float:
    """Returns the largest pixel value of a number type of NumPy or torch: 255 for uint8, else 1."""
    return 255.0 if dtype.itemsize == 1 else 1.0


def to_unit(image: Image) -> NDArray[np.float32]:
    """Returns a float32 copy of an image with values in [0, 1]."""
    unit = image.astype(np.float32)
    return unit / np.float32(255) if image.dtype == np.uint8 else unit


def from_unit(unit: Image, like: Image) -> Image:
    """Returns values in [0, 1] in the range, the type and the shape of an image.

    Args:
        unit: Values of about [0, 1], which are clipped.
        like: Image, uint8 or float32, that gives type and shape.
    """
    return from_levels(unit * np.float32(255) if like.dtype == np.uint8 else unit, like)


def from_levels(levels: Image, like: Image) -> Image:
    """Returns values in the type and the shape of an image, clipped to its range.

    Args:
        levels: Values in the units of the image; they are rounded for uint8.
        like: Image, uint8 or float32, that gives type and shape.
    """
    levels = levels.clip(0, full_scale(like.dtype)).reshape(like.shape)
    return np.rint(levels).astype(np.uint8) if like.dtype == np.uint8 else levels
