"""Speckle and gain: augmentations of the intensity.

Fully developed speckle of L looks multiplies the intensity by a Gamma variable of shape L and mean
1 (Goodman 1976, https://doi.org/10.1364/JOSA.66.001145). albumentations has no types, hence the
ignored errors.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import albumentations as A
import cv2
import numpy as np
from albumentations.core.transforms_interface import BaseTransformInitSchema
from pydantic import Field

from ssl_kit import Image

from .pixels import Meaning, Reals, amplify, from_intensity, from_unit, to_intensity, to_unit

Positive = Annotated[float, Field(gt=0)]
_COPIES = ("red", "green", "blue")  # of a picture: one band, three times
_STANDS_OUT = 2.0  # local mean over that of the clutter: 3 dB


def _independent(channels: tuple[str, ...]) -> int:
    """Returns how many channels have speckle of their own."""
    return 1 if channels == _COPIES else len(channels)


def level(factor: Reals) -> Reals:
    """Returns factors of intensity in decibels."""
    return (10 * np.log10(np.maximum(factor, 1e-12))).astype(np.float32)


class Speckle(A.ImageOnlyTransform):  # type: ignore[misc]
    """Multiplies the intensity by Gamma speckle, independent in each pixel and polarization.

    It comes on top of the speckle that an image has: the result has the statistics of a textured
    surface. `Respeckle` replaces it instead.

    Args:
        channels: Names of the channels.
        looks: Range of L, drawn evenly in its logarithm.
        p: Chance of the whole.
    """

    class InitSchema(BaseTransformInitSchema):  # type: ignore[misc]
        """What the arguments may be."""

        channels: tuple[str, ...]
        looks: tuple[Positive, Positive]

    def __init__(
        self, channels: tuple[str, ...], looks: tuple[float, float] = (1, 8), p: float = 0.8
    ) -> None:
        super().__init__(p=p)
        self.channels, self.looks = channels, looks

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Draws the number of looks and the speckle."""
        low, high = map(math.log, self.looks)
        looks = math.exp(self.py_random.uniform(low, high))
        shape = (*params["shape"][:2], _independent(self.channels))
        gamma = self.random_generator.standard_gamma(looks, shape, np.float32) / looks
        return {"decibels": level(gamma)}

    def apply(self, img: Image, decibels: Reals, **params: Any) -> Image:
        """Multiplies."""
        return amplify(img, decibels, self.channels)


class LogNormalSpeckle(A.ImageOnlyTransform):  # type: ignore[misc]
    """Multiplies the amplitude by min(exp(n), s), n normal: the noise of DCA's authors.

    s is drawn for each image (in their code once for all) and the noise is common to the channels.

    Args:
        channels: Names of the channels.
        ceiling: Range of s.
        p: Chance of the whole.
    """

    class InitSchema(BaseTransformInitSchema):  # type: ignore[misc]
        """What the arguments may be."""

        channels: tuple[str, ...]
        ceiling: tuple[Positive, Positive]

    def __init__(
        self, channels: tuple[str, ...], ceiling: tuple[float, float] = (0.7, 1), p: float = 0.8
    ) -> None:
        super().__init__(p=p)
        self.channels, self.ceiling = channels, ceiling

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Draws the ceiling and the noise."""
        ceiling = self.py_random.uniform(*self.ceiling)
        normal = self.random_generator.standard_normal((*params["shape"][:2], 1), np.float32)
        return {"decibels": 2 * level(np.minimum(np.exp(normal), ceiling))}

    def apply(self, img: Image, decibels: Reals, **params: Any) -> Image:
        """Multiplies."""
        return amplify(img, decibels, self.channels)


class Respeckle(A.ImageOnlyTransform):  # type: ignore[misc]
    """Draws the speckle of homogeneous places anew: another look at the same ground.

    As in Lee's filter (Lee 1980, https://doi.org/10.1109/TPAMI.1980.4766994) a place whose local
    coefficient of variation is that of speckle alone is homogeneous: there the image becomes its
    local mean times new Gamma speckle of as many looks. Where it varies more (edges, single
    scatterers) the image is kept, in between it is blended. Kept is also what stands out of the
    clutter, as targets do. Shadow stays shadow.

    Args:
        channels: Names of the channels; complex ones are left alone.
        window: Pixels, height and width of what is local.
        p: Chance of the whole.
    """

    class InitSchema(BaseTransformInitSchema):  # type: ignore[misc]
        """What the arguments may be."""

        channels: tuple[str, ...]
        window: Annotated[int, Field(ge=3)]

    def __init__(self, channels: tuple[str, ...], window: int = 5, p: float = 0.8) -> None:
        super().__init__(p=p)
        self.channels, self.window = channels, window

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Finds what is homogeneous, and draws its speckle."""
        image = data["image"].reshape(*params["shape"][:2], len(self.channels))
        power = to_intensity(to_unit(image), Meaning.of(self.channels))
        mean, keep, looks = homogeneity(power, self.window)
        looks = looks[: _independent(self.channels)]
        shape = (*power.shape[:2], len(looks))
        gamma = self.random_generator.standard_gamma(looks, shape).astype(np.float32)
        return {"made": keep * power + (1 - keep) * mean * (gamma / looks)}

    def apply(self, img: Image, made: Reals, **params: Any) -> Image:
        """Returns the image with new speckle."""
        kinds = Meaning.of(self.channels)
        unit = from_intensity(made.astype(np.float32), kinds)
        for c in (*kinds.real, *kinds.imag):
            unit[..., c] = to_unit(img)[..., c]
        return from_unit(unit, img).reshape(img.shape)


def homogeneity(power: Reals, window: int) -> tuple[Reals, Reals, Reals]:
    """Tells speckle from structure.

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


class Gain(A.ImageOnlyTransform):  # type: ignore[misc]
    """Changes the intensity by one factor: products are calibrated to about a decibel.

    Args:
        channels: Names of the channels.
        decibels: Largest change.
        p: Chance of the whole.
    """

    class InitSchema(BaseTransformInitSchema):  # type: ignore[misc]
        """What the arguments may be."""

        channels: tuple[str, ...]
        decibels: Positive

    def __init__(self, channels: tuple[str, ...], decibels: float = 1.5, p: float = 0.8) -> None:
        super().__init__(p=p)
        self.channels, self.decibels = channels, decibels

    def get_params(self) -> dict[str, Any]:
        """Draws the gain."""
        return {"gain": self.py_random.uniform(-self.decibels, self.decibels)}

    def apply(self, img: Image, gain: float, **params: Any) -> Image:
        """Multiplies."""
        return amplify(img, np.full((1, 1, 1), gain, np.float32), self.channels)
