"""Augmentations of the aperture: of complex images, and of images of two sub-looks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_kit import Image
from ssl_kit.data import augment, from_unit, to_unit

from .pixels import Meaning, Reals, from_intensity, phasors, put_phasors, to_intensity
from .signals import centroid, compand, expand


class SubAperture(augment.ImageTransform):
    """Keeps a part of the frequency band, in azimuth or range, as a shorter aperture or pulse does.

    The part is a Hamming window about a random frequency, and the energy stays the same. The
    resolution decreases and the speckle changes, as between two looks at one scene.

    Args:
        channels: Names of the channels, of which some are complex.
        share: Range of the share of the band that is kept.
        p: Probability of the transform.
    """

    def __init__(
        self, channels: tuple[str, ...], share: tuple[float, float] = (0.4, 0.9), p: float = 0.8
    ) -> None:
        super().__init__(p=p)
        self.channels, self.share = channels, share

    def draw(self, image: Image) -> dict[str, Any]:
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


class PhaseOffset(augment.ImageTransform):
    """Rotates all phases by one angle: the range to the scene is not known to a wavelength.

    Args:
        channels: Names of the channels, of which some are complex.
        p: Probability of the transform.
    """

    def __init__(self, channels: tuple[str, ...], p: float = 1) -> None:
        super().__init__(p=p)
        self.channels = channels

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the angle."""
        return {"angle": self.py_random.uniform(0, 2 * np.pi)}

    def apply(self, img: Image, angle: float, **params: Any) -> Image:
        """Rotates the phases of the complex channels."""
        kinds, unit = Meaning.of(self.channels), to_unit(img)
        turn = np.complex64(np.exp(1j * angle))
        put_phasors(unit, phasors(unit, kinds) * turn, kinds)
        return from_unit(unit, img)


class LookMix(augment.ImageTransform):
    """Replaces each of two sub-looks by a randomly weighted mean of both, as of other apertures.

    Args:
        channels: Names of the channels; "_look1_" and "_look2_" mark the two looks.
        p: Probability of the transform.
    """

    def __init__(self, channels: tuple[str, ...], p: float = 0.8) -> None:
        super().__init__(p=p)
        self.channels = channels

    def draw(self, image: Image) -> dict[str, Any]:
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
