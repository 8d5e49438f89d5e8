"""How images of stained tissue get worse; strengths go from mild to severe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


from ssl_kit import Corruption
from ssl_kit.data import augment

from .transforms import StainJitter

_RGB = ("red", "green", "blue")


def stain(scale: float, channels: Sequence[str]) -> augment.Transform | None:
    """Each dye's amount changes by up to `scale` of itself: another laboratory. RGB only."""
    return StainJitter(scale, shift=0, p=1) if tuple(channels) == _RGB else None


def defocus(sigma: float, channels: Sequence[str]) -> augment.Transform | None:
    """Gaussian blur; `sigma` in pixels."""
    return augment.GaussianBlur(blur_limit=0, sigma_limit=(sigma, sigma), p=1)


def lamp(percent: float, channels: Sequence[str]) -> augment.Transform | None:
    """The lamp is weaker by so many percent, and the scanner does not correct it."""
    left = 1 - percent / 100
    return augment.MultiplicativeNoise((left, left), p=1)


def resolution(times: float, channels: Sequence[str]) -> augment.Transform | None:
    """Microns per pixel are so many times more; enlarged again to the size it had."""
    return augment.Downscale(times)


def jpeg(quality: float, channels: Sequence[str]) -> augment.Transform | None:
    """Compression by JPEG at a quality of 1 to 100, as scanners do. RGB only."""
    if tuple(channels) != _RGB:
        return None
    return augment.Jpeg("jpeg", (int(quality), int(quality)), p=1)


CORRUPTIONS: Mapping[str, Corruption] = {
    "stain": Corruption(stain, (0.05, 0.1, 0.2, 0.4), "of a dye"),
    "defocus": Corruption(defocus, (0.5, 1, 2, 4), "px"),
    "lamp": Corruption(lamp, (10, 25, 50, 75), "% darker"),
    "resolution": Corruption(resolution, (1.5, 2, 4, 8), "times coarser"),
    "JPEG": Corruption(jpeg, (50, 25, 10, 5), "quality"),
}
