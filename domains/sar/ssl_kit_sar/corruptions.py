"""Corruptions of radar images; strengths go from mild to severe.

Complex channels are changed as signals. Of detected channels only the intensity is known, so they
are changed as detected products.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ssl_kit import Corruption, Image
from ssl_kit.data import augment, from_unit, to_unit

from .aperture import window_band
from .pixels import Meaning, Reals, from_intensity, phasors, put_phasors, to_intensity
from .signals import compand, expand
from .speckle import Speckle

Complex = NDArray[np.complex64]
_COPIES = ("red", "green", "blue")  # an RGB file of one band holds it three times


class _Worse(augment.ImageTransform):
    """Changes the intensity of detected channels and the signal of complex ones.

    Args:
        channels: Names of the channels.
        strength: Strength of the corruption in the unit of the subclass.
    """

    def __init__(self, channels: tuple[str, ...], strength: float) -> None:
        super().__init__()
        self.channels, self.strength = channels, strength

    def apply(self, img: Image, noise: Complex | None = None, **params: Any) -> Image:
        """Changes the image."""
        kinds = Meaning.of(self.channels)
        unit = to_unit(img.reshape(*img.shape[:2], len(self.channels)))
        out = unit.copy()
        detected = [*kinds.decibels, *kinds.amplitude]
        if detected:
            power = to_intensity(unit, kinds)
            power[..., detected] = self.detected(power[..., detected], noise)
            out[..., detected] = from_intensity(power, kinds)[..., detected]
        if kinds.real:
            signal = self.signal(expand(phasors(unit, kinds)), noise)
            put_phasors(out, compand(signal), kinds)
        return from_unit(out, img).reshape(img.shape)

    @abstractmethod
    def detected(self, power: Reals, noise: Complex | None) -> Reals:
        """Changes intensities (H, W, P)."""

    @abstractmethod
    def signal(self, signal: Complex, noise: Complex | None) -> Complex:
        """Changes complex values (H, W, P)."""


class ThermalNoise(_Worse):
    """Adds circular Gaussian noise to the signal; a detected image is taken as a signal of phase 0.

    The noise has no preferred phase, so the magnitude of the sum (Rician) does not depend on the
    phase of the signal. The strength is the ratio of mean powers in dB.
    """

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws noise of unit power, the same for all copies of a band."""
        bands = 1 if self.channels == _COPIES else len(self.channels)
        shape = (2, *image.shape[:2], bands)
        real, imag = self.random_generator.standard_normal(shape, np.float32)
        return {"noise": ((real + 1j * imag) / np.sqrt(2)).astype(np.complex64)}

    def _sigma(self, power: Reals) -> Reals:
        sigma: Reals = np.sqrt(power.mean(axis=(0, 1)) * 10 ** (-self.strength / 10))
        return sigma.astype(np.float32)

    def detected(self, power: Reals, noise: Complex | None) -> Reals:
        """Returns |sqrt(power) + noise|^2."""
        return np.abs(self.signal(np.sqrt(power).astype(np.complex64), noise)) ** 2

    def signal(self, signal: Complex, noise: Complex | None) -> Complex:
        """Adds the noise."""
        assert noise is not None  # noqa: S101  drawn above
        few = noise[..., : signal.shape[2]]
        return signal + few * self._sigma(np.abs(signal) ** 2)


class Resolution(_Worse):
    """Makes the resolution cell `strength` times longer and wider.

    Of complex channels the center of both frequency bands is kept, under a Hamming window. Of
    detected channels the intensities are averaged over the larger cells, as in a product with more
    looks, so that speckle decreases as well.
    """

    def detected(self, power: Reals, noise: Complex | None) -> Reals:
        """Averages over cells and interpolates."""
        return augment.downscale(power, self.strength)

    def signal(self, signal: Complex, noise: Complex | None) -> Complex:
        """Limits the band in range and in azimuth."""
        return window_band(window_band(signal, 0, 1 / self.strength, 0), 1, 1 / self.strength, 0)


class Defocus(_Worse):
    """Spreads each point over `strength` pixels in azimuth, as errors of motion compensation do.

    Complex channels get the phase pi w f^2 over the azimuth frequency f (cycles per pixel, -1/2 to
    1/2), whose group delay -w f covers w pixels. The intensities of detected channels are averaged
    over w pixels, which is the limit for many pixels and random phases.
    """

    def detected(self, power: Reals, noise: Complex | None) -> Reals:
        """Averages along azimuth."""
        kernel = (round(self.strength), 1)
        blurred = cv2.blur(power, kernel, borderType=cv2.BORDER_REFLECT_101)
        return np.asarray(blurred, np.float32).reshape(power.shape)

    def signal(self, signal: Complex, noise: Complex | None) -> Complex:
        """Adds the phase error to the azimuth spectrum."""
        frequency = np.fft.fftfreq(signal.shape[1])[:, None]
        error = np.exp(1j * np.pi * self.strength * frequency**2)
        return np.fft.ifft(np.fft.fft(signal, axis=1) * error, axis=1).astype(np.complex64)


def speckle(looks: float, channels: Sequence[str]) -> augment.Transform | None:
    """Gamma speckle of some looks on top of the image's own speckle; for detected images only.

    A complex signal has a limited band, which a random factor for each pixel would exceed.
    """
    return None if Meaning.of(channels).real else Speckle(tuple(channels), (looks, looks), p=1)


def noise(decibels: float, channels: Sequence[str]) -> augment.Transform | None:
    """Thermal noise at a signal-to-noise ratio of mean powers."""
    return ThermalNoise(tuple(channels), decibels)


def resolution(times: float, channels: Sequence[str]) -> augment.Transform | None:
    """Lower resolution: cells are this many times longer and wider."""
    return Resolution(tuple(channels), times)


def defocus(pixels: float, channels: Sequence[str]) -> augment.Transform | None:
    """Blur in azimuth, which spreads a point over some pixels."""
    return Defocus(tuple(channels), pixels)


CORRUPTIONS: Mapping[str, Corruption] = {
    "speckle": Corruption(speckle, (8, 4, 2, 1), "looks"),
    "noise": Corruption(noise, (20, 10, 5, 0), "dB"),
    "resolution": Corruption(resolution, (1.5, 2, 3, 4), "times coarser"),
    "defocus": Corruption(defocus, (3, 5, 9, 17), "px"),
}
