"""A dataset that needs no files. Real images are better; say in the README which yours are."""

from __future__ import annotations

import numpy as np

from ssl_kit import Dataset, Image, Index

SIZE, IMAGES = 64, 120
WAVELENGTHS = {"coarse": 16.0, "fine": 4.0, "medium": 8.0}  # pixels


def stripes(wavelength: float, rng: np.random.Generator) -> Image:
    """Draws a plane wave of any direction with some noise, (SIZE, SIZE, 1) uint8."""
    angle, phase = rng.uniform(0, 2 * np.pi, 2)
    y, x = np.mgrid[:SIZE, :SIZE]
    along = x * np.cos(angle) + y * np.sin(angle)
    wave = 128 + 60 * np.sin(2 * np.pi * along / wavelength + phase)
    noisy = wave + rng.normal(0, 15, wave.shape)
    image: Image = np.clip(noisy, 0, 255).astype(np.uint8)[..., None]
    return image


class Demo(Dataset):
    """120 images of stripes, 64x64, gray: coarse, medium and fine. Generated, not real."""

    channels = ("gray",)

    def prepare(self) -> None:
        """Names the images and their classes."""
        self._labels = [sorted(WAVELENGTHS)[i % len(WAVELENGTHS)] for i in range(IMAGES)]
        self.index = Index.build([f"stripes{i:03d}" for i in range(IMAGES)], labels=self._labels)

    def read(self, i: int) -> Image:
        """Draws image i, the same each time."""
        return stripes(WAVELENGTHS[self._labels[i]], np.random.default_rng((0, i)))
