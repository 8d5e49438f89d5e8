"""Corruptions of medical images; strengths go from mild to severe.

An RGB image whose channels are equal is a gray image; its channels stay equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_kit import Corruption, Image
from ssl_kit.data import augment, from_unit, to_unit

from .transforms import BiasField, RicianNoise, Tone, planes

Reals = NDArray[np.float32]


class Magnitude(RicianNoise):
    """`RicianNoise` whose standard deviation is always the highest."""

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the noise of both parts."""
        return self._noise(image, self.highest)


class Photons(augment.ImageTransform):
    """Poisson noise of a detector that counts photons.

    Args:
        photons: Number of photons in a white pixel.
    """

    def __init__(self, photons: float) -> None:
        super().__init__()
        self.photons = photons

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the number of photons of each pixel."""
        expected = to_unit(image)[..., : planes(image)] * self.photons
        return {"counted": self.random_generator.poisson(expected) / self.photons}

    def apply(self, img: Image, counted: NDArray[np.float64], **params: Any) -> Image:
        """Returns the counts as an image."""
        return from_unit(np.broadcast_to(counted.astype(np.float32), img.shape), img)


class Shading(BiasField):
    """`BiasField` whose largest factor is always the strongest."""

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the shape of the field."""
        return {**super().draw(image), "strength": self.strength}


class Window(Tone):
    """Shifts both ends of the window by `ends` of its width, up or down."""

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the direction."""
        shift = self.py_random.choice((-1, 1)) * self.ends
        return {"low": shift, "high": 1 + shift, "gamma": 1.0}


def rician(percent: float, channels: Sequence[str]) -> augment.Transform | None:
    """Rician noise with a standard deviation in percent of the range."""
    return Magnitude(percent / 100, p=1)


def photons(count: float, channels: Sequence[str]) -> augment.Transform | None:
    """Poisson noise with this many photons in a white pixel."""
    return Photons(count)


def shading(times: float, channels: Sequence[str]) -> augment.Transform | None:
    """Bias field, smooth shading with this largest factor."""
    return Shading(math.log(times), p=1)


def window(percent: float, channels: Sequence[str]) -> augment.Transform | None:
    """Window that is shifted by some percent of its width."""
    return Window(percent / 100, 0, p=1)


def motion(pixels: float, channels: Sequence[str]) -> augment.Transform | None:
    """Motion blur along a line of some pixels, as in radiographs and microscopy."""
    length = int(pixels)
    return augment.MotionBlur((length, length), allow_shifted=False, direction_range=(0, 0), p=1)


def resolution(times: float, channels: Sequence[str]) -> augment.Transform | None:
    """Lower resolution: pixels are this many times larger, and the image is upsampled again."""
    return augment.Downscale(times)


CORRUPTIONS: Mapping[str, Corruption] = {
    "Rician noise": Corruption(rician, (2, 5, 10, 20), "% of the range"),
    "photon noise": Corruption(photons, (1000, 300, 100, 30), "photons"),
    "shading": Corruption(shading, (1.25, 1.5, 2, 3), "times"),
    "window": Corruption(window, (5, 10, 20, 30), "% of its width"),
    "motion": Corruption(motion, (3, 5, 9, 17), "px"),
    "resolution": Corruption(resolution, (1.5, 2, 4, 8), "times coarser"),
}
