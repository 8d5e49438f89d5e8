"""Pixel values: uint8 from 0 to 255 or float32 from 0 to 1, other depths, and fill values."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.dataset import Image
from ..core.errors import DataError


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


def in_other_depth(image: Image, dtype: np.dtype[Any]) -> Image:
    """Returns an image of 8 or 16 bits in the other depth: the full range stays the full range.

    Args:
        image: Of any number type and shape.
        dtype: Number type to return.

    Raises:
        DataError: If the types differ and are not uint8 and uint16, whose ranges are known.
    """
    if image.dtype == dtype:
        return image
    if image.dtype == np.uint8 and dtype == np.uint16:
        return image.astype(np.uint16) * np.uint16(257)
    if image.dtype == np.uint16 and dtype == np.uint8:
        return np.asarray((image.astype(np.uint32) + 128) // 257, np.uint8)
    raise DataError(f"is {image.dtype.name} where most images are {dtype.name}")
