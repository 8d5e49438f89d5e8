"""Corruptions of scenes from above; strengths go from mild to severe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ssl_kit import Corruption, Image
from ssl_kit.data import augment, from_unit, to_unit

from .bands import INDICES, THERMAL, canonical, wavelengths
from .transforms import Radiometry

Reals = NDArray[np.float32]
_ANGSTROM = 1.3  # exponent of continental aerosol
_CLOUD_GRIDS = (3, 5, 9, 17)  # points along the side: billows of four sizes
_EDGE = 0.5  # width of a cloud's rim, in deviations of the field that it is cut from


class Haze(Radiometry):
    """The haze of `Radiometry` alone, with a fixed optical depth `depth` at 490 nm."""

    def draw(self, image: Image) -> dict[str, Any]:
        """Returns what passes through the haze in each band."""
        bands = len(self.sunlit)
        hazy = self._transmission(self.depth, _ANGSTROM, bands)
        through = np.where(np.logical_and(self.sunlit, self.measured), hazy, 1)
        ones = np.ones(bands, np.float32)
        return {"transmission": through.astype(np.float32), "gain": ones, "offset": 0 * ones}


class Clouds(augment.ImageTransform):
    """Covers a share of the image with opaque clouds that have soft rims.

    Args:
        share: Share of the pixels that are more than half cloud.
        colors: (C,) color of a cloud, in [0, 1].
    """

    def __init__(self, share: float, colors: tuple[float, ...]) -> None:
        super().__init__()
        self.share, self.colors = share, colors

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws a random surface and a threshold that the share exceeds."""
        height, width = image.shape[:2]
        field = np.zeros((height, width), np.float32)
        for points in _CLOUD_GRIDS:
            drawn = self.random_generator.standard_normal((points, points), dtype=np.float32)
            field += cv2.resize(drawn / points, (width, height), interpolation=cv2.INTER_CUBIC)
        above = (field - np.quantile(field, 1 - self.share)) / (_EDGE * field.std())
        return {"opacity": np.clip(0.5 + above, 0, 1).astype(np.float32)[..., None]}

    def apply(self, img: Image, opacity: Reals, **params: Any) -> Image:
        """Mixes image and cloud."""
        unit = to_unit(img).reshape(*opacity.shape[:2], -1)
        return from_unit(unit + opacity * (np.asarray(self.colors, np.float32) - unit), img)


class SensorNoise(augment.ImageTransform):
    """Adds white Gaussian noise to each band.

    An index (a - b) / (a + b) of bands with noise of a share r of themselves has the deviation
    r (1 - index^2) / sqrt(2), to the first order.

    Args:
        decibels: Signal-to-noise ratio of a band in dB.
        indices: Whether each channel is a spectral index.
    """

    def __init__(self, decibels: float, indices: tuple[bool, ...]) -> None:
        super().__init__()
        self.decibels, self.indices = decibels, indices

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws noise of unit power."""
        return {"white": self.random_generator.standard_normal(image.shape, np.float32)}

    def apply(self, img: Image, white: Reals, **params: Any) -> Image:
        """Adds the noise."""
        unit = to_unit(img)
        level = np.sqrt(np.square(unit).mean(axis=(0, 1)))
        of_index = np.sqrt(2) * unit * (1 - unit)  # an index is 2 unit - 1
        sigma = np.where(self.indices, of_index, level) * 10 ** (-self.decibels / 20)
        return from_unit(unit + white * sigma.astype(np.float32), img)


class Misregistration(augment.ImageTransform):
    """Shifts each band but the first in a random direction.

    Args:
        pixels: Length of the shift in pixels.
    """

    def __init__(self, pixels: float) -> None:
        super().__init__()
        self.pixels = pixels

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the directions."""
        angles = self.random_generator.uniform(0, 2 * np.pi, image.shape[2] - 1)
        return {"shifts": self.pixels * np.stack([np.cos(angles), np.sin(angles)], axis=1)}

    def apply(self, img: Image, shifts: NDArray[np.float64], **params: Any) -> Image:
        """Shifts the bands; the borders are reflected."""
        out = img.copy()
        for band, (right, down) in enumerate(shifts, start=1):
            out[..., band] = cv2.warpAffine(
                np.ascontiguousarray(img[..., band]),
                np.array([[1, 0, right], [0, 1, down]]),
                img.shape[1::-1],
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT_101,
            )
        return out


def haze(depth: float, channels: Sequence[str]) -> augment.Transform | None:
    """Aerosol of an optical depth at 490 nm; not for images without a band of sunlight."""
    sunlit = tuple(canonical(name) not in THERMAL for name in channels)
    measured = tuple(name not in INDICES for name in channels)
    if not any(np.logical_and(sunlit, measured)):
        return None
    return Haze(
        wavelengths(channels), sunlit, measured, gain=0, offset=0, spread=0, depth=depth, p=1
    )


def clouds(percent: float, channels: Sequence[str]) -> augment.Transform | None:
    """Clouds over some percent of the pixels: white, cold in thermal bands, 0 in an index."""
    colors = [
        0.5 if name in INDICES else 0.0 if canonical(name) in THERMAL else 1.0 for name in channels
    ]
    return Clouds(percent / 100, tuple(colors))


def noise(decibels: float, channels: Sequence[str]) -> augment.Transform | None:
    """Sensor noise at the same signal-to-noise ratio in each band."""
    return SensorNoise(decibels, tuple(name in INDICES for name in channels))


def resolution(times: float, channels: Sequence[str]) -> augment.Transform | None:
    """Lower resolution: pixels are this many times longer, and the image is upsampled again."""
    return augment.Downscale(times)


def misregistration(pixels: float, channels: Sequence[str]) -> augment.Transform | None:
    """Shift of bands against each other in pixels; not for one band."""
    return Misregistration(pixels) if len(channels) > 1 else None


def jpeg(quality: float, channels: Sequence[str]) -> augment.Transform | None:
    """JPEG compression at a quality of 1 to 100; for one or three bands of sunlight."""
    others = any(name in INDICES or canonical(name) in THERMAL for name in channels)
    if len(channels) not in (1, 3) or others:
        return None
    return augment.Jpeg("jpeg", (int(quality), int(quality)), p=1)


CORRUPTIONS: Mapping[str, Corruption] = {
    "haze": Corruption(haze, (0.25, 0.5, 1, 2), "optical depth"),
    "clouds": Corruption(clouds, (10, 25, 50, 75), "% cover"),
    "noise": Corruption(noise, (40, 30, 20, 10), "dB"),
    "resolution": Corruption(resolution, (1.5, 2, 4, 8), "times coarser"),
    "misregistration": Corruption(misregistration, (0.5, 1, 2, 4), "px"),
    "JPEG": Corruption(jpeg, (50, 25, 10, 5), "quality"),
}
