"""Corruptions of stained tissue; strengths go from mild to severe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssl_kit import Corruption
from ssl_kit.data import augment

from .transforms import StainJitter

_RGB = ("red", "green", "blue")


def stain(scale: float, channels: Sequence[str]) -> augment.Transform | None:
    """Relative change of each stain by up to this share, as between laboratories; for RGB."""
    return StainJitter(scale, shift=0, p=1) if tuple(channels) == _RGB else None


def defocus(sigma: float, channels: Sequence[str]) -> augment.Transform | None:
    """Gaussian blur of a standard deviation in pixels."""
    return augment.GaussianBlur(blur_limit=0, sigma_limit=(sigma, sigma), p=1)


def lamp(percent: float, channels: Sequence[str]) -> augment.Transform | None:
    """Lamp that is weaker by some percent, which the scanner does not correct."""
    left = 1 - percent / 100
    return augment.MultiplicativeNoise((left, left), p=1)


def resolution(times: float, channels: Sequence[str]) -> augment.Transform | None:
    """Lower resolution: microns per pixel are multiplied, and the image is upsampled again."""
    return augment.Downscale(times)


def jpeg(quality: float, channels: Sequence[str]) -> augment.Transform | None:
    """JPEG compression at a quality of 1 to 100, as scanners do; for RGB."""
    if tuple(channels) != _RGB:
        return None
    return augment.Jpeg("jpeg", (int(quality), int(quality)), p=1)


CORRUPTIONS: Mapping[str, Corruption] = {
    "stain": Corruption(stain, (0.05, 0.1, 0.2, 0.4), "of a stain"),
    "defocus": Corruption(defocus, (0.5, 1, 2, 4), "px"),
    "lamp": Corruption(lamp, (10, 25, 50, 75), "% darker"),
    "resolution": Corruption(resolution, (1.5, 2, 4, 8), "times coarser"),
    "JPEG": Corruption(jpeg, (50, 25, 10, 5), "quality"),
}
