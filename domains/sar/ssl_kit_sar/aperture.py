"""Augmentations of the aperture: of complex images, and of images of two sub-looks."""

from __future__ import annotations

from typing import Annotated, Any

import albumentations as A
import numpy as np
from albumentations.core.transforms_interface import BaseTransformInitSchema
from numpy.typing import NDArray
from pydantic import Field

from ssl_kit import Image

from .pixels import (
    Meaning,
    Reals,
    from_intensity,
    from_unit,
    phasors,
    put_phasors,
    to_intensity,
    to_unit,
)
from .signals import centroid, compand, expand

Share = Annotated[float, Field(gt=0, le=1)]


class SubAperture(A.ImageOnlyTransform):  # type: ignore[misc]
    """Keeps a part of the band, in azimuth or in range: what a shorter aperture or pulse records.

    A Hamming window about a random place of the band; the energy stays the same. Resolution falls
    and the speckle changes, as between two looks at one scene.

    Args:
        channels: Names of the channels, of which some are complex.
        share: Range of the part of the band that is kept.
        p: Chance of the whole.
    """

    class InitSchema(BaseTransformInitSchema):  # type: ignore[misc]
        """What the arguments may be."""

        channels: tuple[str, ...]
        share: tuple[Share, Share]

    def __init__(
        self, channels: tuple[str, ...], share: tuple[float, float] = (0.4, 0.9), p: float = 0.8
    ) -> None:
        super().__init__(p=p)
        self.channels, self.share = channels, share

    def get_params(self) -> dict[str, Any]:
        """Draws direction, width and place of the window."""
        return {
            "axis": self.py_random.randint(0, 1),
            "kept": self.py_random.uniform(*self.share),
            "place": self.py_random.uniform(-1, 1),
        }

    def apply(self, img: Image, axis: int, kept: float, place: float, **params: Any) -> Image:
        """Filters the complex channels."""
        kinds, unit = Meaning.of(self.channels), to_unit(img)
        signal = expand(phasors(unit, kinds))
        put_phasors(unit, compand(window_band(signal, axis, kept, place)), kinds)
        return from_unit(unit, img)


def window_band(
    signal: NDArray[np.complex64], axis: int, kept: float, place: float
) -> NDArray[np.complex64]:
    """Keeps a part of the band of a signal, and its energy.

    Args:
        signal: (H, W, P).
        axis: 0 for range, 1 for azimuth.
        kept: Width of the Hamming window, as a share of the band.
        place: -1 is the lower end of the band, 1 the upper.
    """
    spectrum = np.fft.fft(signal, axis=axis)
    n = signal.shape[axis]
    middle = centroid(spectrum, axis) + place * (1 - kept) * n / 2
    away = (np.arange(n) - middle + n / 2) % n - n / 2  # bins from the middle of the window
    inside = np.abs(away) <= kept * n / 2
    window = np.where(inside, 0.54 + 0.46 * np.cos(2 * np.pi * away / (kept * n)), 0)
    shape = [1] * signal.ndim
    shape[axis] = n
    out = np.fft.ifft(spectrum * window.reshape(shape), axis=axis)
    energy = np.linalg.norm(signal) / max(float(np.linalg.norm(out)), 1e-30)
    return (out * energy).astype(np.complex64)


class PhaseOffset(A.ImageOnlyTransform):  # type: ignore[misc]
    """Turns all phases by one angle: half a wavelength more or less of distance is not scene.

    Args:
        channels: Names of the channels, of which some are complex.
        p: Chance of the whole.
    """

    class InitSchema(BaseTransformInitSchema):  # type: ignore[misc]
        """What the arguments may be."""

        channels: tuple[str, ...]

    def __init__(self, channels: tuple[str, ...], p: float = 1) -> None:
        super().__init__(p=p)
        self.channels = channels

    def get_params(self) -> dict[str, Any]:
        """Draws the angle."""
        return {"angle": self.py_random.uniform(0, 2 * np.pi)}

    def apply(self, img: Image, angle: float, **params: Any) -> Image:
        """Turns the complex channels."""
        kinds, unit = Meaning.of(self.channels), to_unit(img)
        turn = np.complex64(np.exp(1j * angle))
        put_phasors(unit, phasors(unit, kinds) * turn, kinds)
        return from_unit(unit, img)


class LookMix(A.ImageOnlyTransform):  # type: ignore[misc]
    """Replaces each of two sub-looks by a mean of both with random weights: other apertures.

    Args:
        channels: Names of the channels; those of the two looks differ by "_look1_", "_look2_".
        p: Chance of the whole.
    """

    class InitSchema(BaseTransformInitSchema):  # type: ignore[misc]
        """What the arguments may be."""

        channels: tuple[str, ...]

    def __init__(self, channels: tuple[str, ...], p: float = 0.8) -> None:
        super().__init__(p=p)
        self.channels = channels

    def get_params(self) -> dict[str, Any]:
        """Draws the weights of the first look in both."""
        return {"weights": (self.py_random.random(), self.py_random.random())}

    def apply(self, img: Image, weights: tuple[float, float], **params: Any) -> Image:
        """Mixes intensities."""
        kinds = Meaning.of(self.channels)
        power = to_intensity(to_unit(img), kinds)
        first, second = look_pairs(self.channels)
        mixed: Reals = power.copy()
        for places, weight in ((first, weights[0]), (second, weights[1])):
            mixed[..., places] = weight * power[..., first] + (1 - weight) * power[..., second]
        return from_unit(from_intensity(mixed, kinds), img)


def look_pairs(channels: tuple[str, ...]) -> tuple[list[int], list[int]]:
    """Returns the positions of the first looks and of the second looks that belong to them."""
    first = [c for c, name in enumerate(channels) if "_look1_" in name]
    second = [channels.index(channels[c].replace("_look1_", "_look2_")) for c in first]
    return first, second
