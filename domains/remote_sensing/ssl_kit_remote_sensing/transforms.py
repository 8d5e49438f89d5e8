"""Radiometric augmentations for any number of bands.

They run for every view, so each is one pass over the pixels: a table look-up for uint8, a
multiplication and an addition for float32.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ssl_kit import Image
from ssl_kit.data import augment, full_scale

Floats = NDArray[np.floating]

_LEVELS = np.arange(256, dtype=np.float32)[:, None]
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, of red, green, blue
_REFERENCE = 490.0  # nm, where an optical depth is given


def band_means(image: Image) -> Floats:
    """Returns the mean of each band, (C,), in the units of the image."""
    bands = image.shape[-1] if image.ndim == 3 else 1
    # NumPy's mean over pixels of uint8 takes ten times as long as this.
    means = cv2.reduce(image.reshape(-1, bands), 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)
    return np.asarray(means, np.float32).reshape(bands)


def affine(image: Image, gain: Floats, offset: Floats) -> Image:
    """Returns gain * image + offset in each band, clipped to the range of the type.

    Args:
        image: (H, W, C) uint8, or float32 in [0, 1].
        gain: (C,).
        offset: (C,), as shares of the full range.
    """
    if image.dtype == np.uint8:
        # The half rounds: the cast cuts off what is behind the point.
        table = np.clip(_LEVELS * gain + (offset * 255 + 0.5), 0, 255).astype(np.uint8)
        looked_up: Image = cv2.LUT(image, table.reshape(1, 256, -1))
        return looked_up.reshape(image.shape)
    out = image * gain
    out += offset
    return np.clip(out, 0, 1, out=out)


class Radiometry(augment.ImageTransform):
    """Changes of light, air and sensor: haze, then a gain and an offset for each band.

    Haze follows Koschmieder: L = t * x + (1 - t) * airlight with t = exp(-tau), and tau falls with
    the wavelength as Angstrom's law says, tau = tau0 * (wavelength / 490 nm)^-alpha. The airlight
    is white. Gain acts about the mean of the band (contrast), offset adds (brightness); each has a
    part common to all bands (sun, exposure) and an independent one (calibration, white balance).

    Args:
        wavelengths: Wavelengths of the bands in nm; () if unknown, then all have the same haze.
        sunlit: Whether each band shows sunlight; a thermal band has no haze and no part
            in the common gain and offset. () for all.
        measured: Whether each channel is a band; an index, in which light and exposure cancel,
            stays the same. () for all.
        gain: Largest |log gain| common to all bands.
        offset: Largest |offset| common to all bands, as a share of the range.
        spread: Largest independent part of a band, of both.
        haze: Probability of haze.
        depth: Largest optical depth of the haze at 490 nm.
        p: Probability of the transform.
    """

    def __init__(
        self,
        wavelengths: tuple[float, ...] = (),
        sunlit: tuple[bool, ...] = (),
        measured: tuple[bool, ...] = (),
        gain: float = 0.08,
        offset: float = 0.04,
        spread: float = 0.02,
        haze: float = 0.05,
        depth: float = 0.5,
        p: float = 0.8,
    ) -> None:
        super().__init__(p=p)
        self.wavelengths = wavelengths
        self.sunlit, self.measured = sunlit, measured
        self.gain, self.offset, self.spread = gain, offset, spread
        self.haze, self.depth = haze, depth

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the optical depth and the gain and offset of each band."""
        bands = image.shape[-1] if image.ndim == 3 else 1
        draw = self.py_random.uniform
        measured = _flags(self.measured, bands)
        common = measured * _flags(self.sunlit, bands)
        of_band = measured * self.random_generator.uniform(-self.spread, self.spread, (2, bands))
        haze = {}
        if self.py_random.random() < self.haze:
            hazy = self._transmission(draw(0, self.depth), draw(0.5, 2.0), bands)
            haze["transmission"] = np.where(common > 0, hazy, np.float32(1))
        return {
            **haze,
            "gain": np.exp(of_band[0] + common * draw(-self.gain, self.gain)).astype(np.float32),
            "offset": (of_band[1] + common * draw(-self.offset, self.offset)).astype(np.float32),
        }

    def _transmission(self, depth: float, alpha: float, bands: int) -> Floats:
        if len(self.wavelengths) != bands:
            return np.full(bands, math.exp(-depth), np.float32)
        ratio = np.asarray(self.wavelengths) / _REFERENCE
        return np.exp(-depth * ratio**-alpha).astype(np.float32)

    def apply(
        self,
        img: Image,
        gain: Floats,
        offset: Floats,
        transmission: Floats | float = 1.0,
        **params: Any,
    ) -> Image:
        """Applies haze, contrast and brightness as one gain and one offset per band."""
        mean = band_means(img) / np.float32(full_scale(img.dtype))
        airlight = 1 - transmission
        hazy_mean = transmission * mean + airlight
        # gain * (t x + (1 - t) - m) + m + offset, sorted by powers of x
        return affine(img, gain * transmission, gain * (airlight - hazy_mean) + hazy_mean + offset)


def _flags(given: tuple[bool, ...], bands: int) -> Floats:
    """Returns 1 for each band that has the flag, all of them if none is given, (C,)."""
    return np.asarray(given or (True,) * bands, np.float32)


class Saturation(augment.ImageTransform):
    """Moves red, green and blue towards or away from their gray value.

    Args:
        strength: Largest change of the distance from gray, as a share of it.
        p: Probability of the transform.
    """

    def __init__(self, strength: float = 0.1, p: float = 0.8) -> None:
        super().__init__(p=p)
        self.strength = strength

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the factor of the color."""
        return {"color": 1 + self.py_random.uniform(-self.strength, self.strength)}

    def apply(self, img: Image, color: float, **params: Any) -> Image:
        """Mixes the three bands with one matrix."""
        matrix = color * np.eye(3, dtype=np.float32) + (1 - color) * _LUMA
        out: Image = cv2.transform(img, matrix.astype(np.float32))
        return out if img.dtype == np.uint8 else np.clip(out, 0, 1, out=out)


class BandDrop(augment.ImageTransform):
    """Replaces some bands by their mean, because sensors differ in their bands.

    Args:
        share: Largest share of the bands that are dropped; at least one band is.
        p: Probability of the transform.
    """

    def __init__(self, share: float = 0.25, p: float = 0.2) -> None:
        super().__init__(p=p)
        self.share = share

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the bands."""
        bands = image.shape[-1]
        count = self.py_random.randint(1, max(1, int(bands * self.share)))
        return {"channels": self.py_random.sample(range(bands), count)}

    def apply(self, img: Image, channels: list[int], **params: Any) -> Image:
        """Fills the bands."""
        out = img.copy()
        out[..., channels] = band_means(img)[channels].astype(img.dtype)
        return out
