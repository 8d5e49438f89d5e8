"""How images of stained tissue get worse; strengths go from mild to severe.

albumentations has no types, hence the ignored errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import albumentations as A
import cv2
import numpy as np

from ssl_kit import Corruption, Image

from .transforms import StainJitter

_RGB = ("red", "green", "blue")


class Coarser(A.ImageOnlyTransform):  # type: ignore[misc]
    """Averages over larger pixels, then enlarges; the library's own fails beyond four channels.

    Args:
        times: How many times longer a pixel's side is.
    """

    def __init__(self, times: float) -> None:
        super().__init__(p=1)
        self.times = times

    def apply(self, img: Image, **params: Any) -> Image:
        """Does so, a channel at a time."""
        size = img.shape[1::-1]
        small = [max(1, round(side / self.times)) for side in size]
        out = np.empty_like(img)
        for c in range(img.shape[2]):
            plane = np.ascontiguousarray(img[..., c])
            plane = cv2.resize(plane, small, interpolation=cv2.INTER_AREA)
            out[..., c] = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
        return out


class Jpeg(A.ImageCompression):  # type: ignore[misc]
    """Compression of RGB; the library's own takes red for blue, which JPEG weighs differently."""

    def apply(self, img: Image, **params: Any) -> Image:
        """Compresses blue, green, red."""
        made: Image = super().apply(np.ascontiguousarray(img[..., ::-1]), **params)
        return np.ascontiguousarray(made[..., ::-1])


def stain(scale: float, channels: Sequence[str]) -> A.BasicTransform | None:
    """Each dye's amount changes by up to `scale` of itself: another laboratory. RGB only."""
    return StainJitter(scale, shift=0, p=1) if tuple(channels) == _RGB else None


def defocus(sigma: float, channels: Sequence[str]) -> A.BasicTransform | None:
    """Gaussian blur; `sigma` in pixels."""
    return A.GaussianBlur(blur_limit=0, sigma_limit=(sigma, sigma), p=1)


def lamp(percent: float, channels: Sequence[str]) -> A.BasicTransform | None:
    """The lamp is weaker by so many percent, and the scanner does not correct it."""
    left = 1 - percent / 100
    return A.MultiplicativeNoise((left, left), p=1)


def resolution(times: float, channels: Sequence[str]) -> A.BasicTransform | None:
    """Microns per pixel are so many times more; enlarged again to the size it had."""
    return Coarser(times)


def jpeg(quality: float, channels: Sequence[str]) -> A.BasicTransform | None:
    """Compression by JPEG at a quality of 1 to 100, as scanners do. RGB only."""
    if tuple(channels) != _RGB:
        return None
    return Jpeg("jpeg", (int(quality), int(quality)), p=1)


CORRUPTIONS: Mapping[str, Corruption] = {
    "stain": Corruption(stain, (0.05, 0.1, 0.2, 0.4), "of a dye"),
    "defocus": Corruption(defocus, (0.5, 1, 2, 4), "px"),
    "lamp": Corruption(lamp, (10, 25, 50, 75), "% darker"),
    "resolution": Corruption(resolution, (1.5, 2, 4, 8), "times coarser"),
    "JPEG": Corruption(jpeg, (50, 25, 10, 5), "quality"),
}
