"""Augmentations of the intensity: speckle and gain.

Fully developed speckle of L looks multiplies the intensity by a Gamma variable of shape L and mean
1 (Goodman 1976, https://doi.org/10.1364/JOSA.66.001145).
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np

from ssl_kit import Image
from ssl_kit.data import augment, from_unit, to_unit

from .pixels import Meaning, Reals, amplify, from_intensity, to_intensity

_COPIES = ("red", "green", "blue")  # an RGB file of one band holds it three times
_STANDS_OUT = 2.0  # local mean over that of the clutter: 3 dB


def _independent(channels: tuple[str, ...]) -> int:
    """Returns the number of channels with independent speckle."""
    return 1 if channels == _COPIES else len(channels)


def level(factor: Reals) -> Reals:
    """Returns factors of intensity in decibels."""
    return (10 * np.log10(np.maximum(factor, 1e-12))).astype(np.float32)


class Speckle(augment.ImageTransform):
    """Multiplies the intensity by Gamma speckle, independent in each pixel and polarization.

    It comes on top of the speckle that an image has: the result has the statistics of a textured
    surface. `Respeckle` replaces it instead.

    Args:
        channels: Names of the channels.
        looks: Range of L, drawn evenly in its logarithm.
        p: Probability of the transform.
    """

    def __init__(
        self, channels: tuple[str, ...], looks: tuple[float, float] = (1, 8), p: float = 0.8
    ) -> None:
        super().__init__(p=p)
        self.channels, self.looks = channels, looks

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the number of looks and the speckle."""
        low, high = map(math.log, self.looks)
        looks = math.exp(self.py_random.uniform(low, high))
        shape = (*image.shape[:2], _independent(self.channels))
        gamma = self.random_generator.standard_gamma(looks, shape, np.float32) / looks
        return {"decibels": level(gamma)}

    def apply(self, img: Image, decibels: Reals, **params: Any) -> Image:
        """Multiplies the intensity."""
        return amplify(img, decibels, self.channels)


class LogNormalSpeckle(augment.ImageTransform):
    """Multiplies the amplitude by min(exp(n), s) with normal n: the noise of the authors of DCA.

    s is drawn for each image (in their code once for all) and the noise is common to the channels.

    Args:
        channels: Names of the channels.
        ceiling: Range of s.
        p: Probability of the transform.
    """

    def __init__(
        self, channels: tuple[str, ...], ceiling: tuple[float, float] = (0.7, 1), p: float = 0.8
    ) -> None:
        super().__init__(p=p)
        self.channels, self.ceiling = channels, ceiling

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the ceiling and the noise."""
        ceiling = self.py_random.uniform(*self.ceiling)
        normal = self.random_generator.standard_normal((*image.shape[:2], 1), np.float32)
        return {"decibels": 2 * level(np.minimum(np.exp(normal), ceiling))}

    def apply(self, img: Image, decibels: Reals, **params: Any) -> Image:
        """Multiplies the intensity."""
        return amplify(img, decibels, self.channels)


class Respeckle(augment.ImageTransform):
    """Replaces the speckle of homogeneous areas, as in another look at the same scene.

    As in Lee's filter (Lee 1980, https://doi.org/10.1109/TPAMI.1980.4766994), an area is
    homogeneous if its local coefficient of variation is that of speckle alone. There the image
    becomes its local mean times new Gamma speckle of the same number of looks. Where the image
    varies more (edges, point scatterers) it is kept, and between the two it is blended. Pixels that
    are brighter than the clutter, such as targets, are kept too. Shadows stay dark. New speckle of
    one look has about 85 % of the variance of the old one, because half of a homogeneous area is
    blended and the median of a variation in small windows is a little low.

    Args:
        channels: Names of the channels; complex ones stay as they are.
        window: Height and width of the local window in pixels.
        p: Probability of the transform.
    """

    def __init__(self, channels: tuple[str, ...], window: int = 5, p: float = 0.8) -> None:
        super().__init__(p=p)
        self.channels, self.window = channels, window

    def draw(self, image: Image) -> dict[str, Any]:
        """Finds homogeneous areas and draws their speckle."""
        image = image.reshape(*image.shape[:2], len(self.channels))
        power = to_intensity(to_unit(image), Meaning.of(self.channels))
        mean, keep, looks = homogeneity(power, self.window)
        looks = looks[: _independent(self.channels)]
        shape = (*power.shape[:2], len(looks))
        gamma = self.random_generator.standard_gamma(looks, shape).astype(np.float32)
        return {"power": keep * power + (1 - keep) * mean * (gamma / looks)}

    def apply(self, img: Image, power: Reals, **params: Any) -> Image:
        """Returns the image with new speckle."""
        kinds = Meaning.of(self.channels)
        unit = from_intensity(power.astype(np.float32), kinds)
        for c in (*kinds.real, *kinds.imag):
            unit[..., c] = to_unit(img)[..., c]
        return from_unit(unit, img).reshape(img.shape)


def homogeneity(power: Reals, window: int) -> tuple[Reals, Reals, Reals]:
    """Separates speckle from structure by the local coefficient of variation.

    The speckle of an image is taken to be the median of its local squared coefficients of
    variation, since most places are clutter; it is at most 1, that of a single look.

    Args:
        power: (H, W, C) intensities.
        window: Pixels.

    Returns:
        Local mean (H, W, C), share of each pixel that is structure (H, W, C), in [0, 1], and
        number of looks (C,).
    """
    mean, square = (_blur(part, window) for part in (power, power**2))
    variation = np.maximum(square / np.maximum(mean**2, 1e-24) - 1, 0)
    speckle = np.clip(np.median(variation, axis=(0, 1)), 1e-3, 1)
    keep = 1 - speckle / np.maximum(variation, speckle)
    keep[mean > _STANDS_OUT * np.median(mean, axis=(0, 1))] = 1
    return mean, keep, 1 / speckle


def _blur(power: Reals, window: int) -> Reals:
    blurred = cv2.blur(power, (window, window), borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32).reshape(power.shape)


class Gain(augment.ImageTransform):
    """Multiplies the intensity by one factor, because calibration is exact to about a decibel.

    Args:
        channels: Names of the channels.
        decibels: Largest change of the intensity in dB.
        p: Probability of the transform.
    """

    def __init__(self, channels: tuple[str, ...], decibels: float = 1.5, p: float = 0.8) -> None:
        super().__init__(p=p)
        self.channels, self.decibels = channels, decibels

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the gain."""
        return {"decibels": self.py_random.uniform(-self.decibels, self.decibels)}

    def apply(self, img: Image, decibels: float, **params: Any) -> Image:
        """Multiplies the intensity."""
        return amplify(img, np.full((1, 1, 1), decibels, np.float32), self.channels)
