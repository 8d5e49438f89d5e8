"""Transforms that several fields need and albumentations lacks or does wrongly.

albumentations has no types, hence the ignored errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import albumentations as A
import cv2
import numpy as np

from ..core.dataset import Image


def downscale(image: Image, times: float) -> Image:
    """Averages over larger pixels, then enlarges again by lines between their centers.

    Args:
        image: (H, W, C), any C.
        times: How many times longer a pixel's side is.

    Returns:
        (H, W, C), of the same type.
    """
    size = image.shape[1::-1]
    small = [max(1, round(side / times)) for side in size]
    out = np.empty_like(image)
    for c in range(image.shape[2]):  # OpenCV takes four channels at most
        plane = np.ascontiguousarray(image[..., c])
        plane = cv2.resize(plane, small, interpolation=cv2.INTER_AREA)
        out[..., c] = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
    return out


class Downscale(A.ImageOnlyTransform):  # type: ignore[misc]
    """Larger pixels: a sensor of less resolution. A.Downscale fails beyond four channels.

    Args:
        times: How many times longer a pixel's side is.
    """

    def __init__(self, times: float) -> None:
        super().__init__(p=1)
        self.times = times

    def apply(self, img: Image, **params: Any) -> Image:
        """Makes it coarser."""
        return downscale(img, self.times)


class Jpeg(A.ImageCompression):  # type: ignore[misc]
    """JPEG compression; albumentations' own takes red for blue, which JPEG weighs differently."""

    def apply(self, img: Image, **params: Any) -> Image:
        """Compresses blue, green, red; other numbers of channels as they are."""
        order = slice(None, None, -1 if img.shape[2] == 3 else 1)
        made: Image = super().apply(np.ascontiguousarray(img[..., order]), **params)
        return np.ascontiguousarray(made[..., order])


class D4(A.D4):  # type: ignore[misc]
    """The eight symmetries of a square, turned by OpenCV: NumPy, in A.D4, goes pixel by pixel."""

    def apply(self, img: Image, group_element: str, **params: Any) -> Image:
        """Turns or mirrors (H, W, C); images of more channels than OpenCV turns go to A.D4."""
        if img.shape[2] > _MOST_TURNED:
            made: Image = super().apply(img, group_element, **params)
            return made
        turned: Image = _TURNS[group_element](img)
        return turned.reshape(*turned.shape[:2], img.shape[2])


_MOST_TURNED = 4
_TURNS: dict[str, Callable[[Image], Any]] = {
    "e": lambda image: image,
    "r90": lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
    "r180": lambda image: cv2.rotate(image, cv2.ROTATE_180),
    "r270": lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    "v": lambda image: cv2.flip(image, 0),
    "h": lambda image: cv2.flip(image, 1),
    "t": cv2.transpose,
    "hvt": lambda image: cv2.flip(cv2.transpose(image), -1),
}
