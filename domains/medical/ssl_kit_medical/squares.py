"""Square pixels: how large an image becomes, and resizing it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2

from ssl_kit import DataError, Image

_THICKEST = 10.0  # largest ratio of the sides of a pixel that is used
_LARGEST = 2**28  # bytes of one image


def square_size(height: int, width: int, sides: Sequence[float]) -> tuple[int, int]:
    """Returns the height and width of an image in square pixels, not larger than those it has.

    Args:
        height: Number of rows.
        width: Number of columns.
        sides: Height and width of a pixel; what is no positive number counts as unknown.

    Raises:
        DataError: If the image would be larger than any device makes it.
    """
    known = all(math.isfinite(side) and side > 0 for side in sides)
    across = [side / min(sides) if known else 1.0 for side in sides]
    down, right = (min(ratio, _THICKEST) for ratio in across)
    size = round(height * down), round(width * right)
    if math.prod(size) * 8 > _LARGEST:
        raise DataError(f"declares slices of absurd size, {height} x {width}")
    return size


def resized(image: Image, size: tuple[int, int]) -> Image:
    """Returns an image (H, W, C) resized to a height and a width, by linear interpolation."""
    if image.shape[:2] == size:
        return image
    larger = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    return larger.reshape(*size, image.shape[2])
