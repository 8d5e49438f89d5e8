"""Ordinary photographs: the views of SimCLR, which are right for few other kinds of image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import albumentations as A
import numpy as np
from numpy.typing import NDArray

from ... import Corruption, Domain, Image, View
from ...data import Jpeg, if_channels, resized_crop

_RGB = ("red", "green", "blue")


def simclr_views(view: View, channels: Sequence[str]) -> list[A.BasicTransform]:
    """Crop, flip, color distortion and blur of SimCLR, appendix A, at strength 0.5."""
    return [
        resized_crop(view),
        A.HorizontalFlip(p=0.5),
        *if_channels(_RGB, channels, A.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8), A.ToGray(p=0.2)),
        *if_channels(("gray",), channels, A.RandomBrightnessContrast(0.4, 0.4, p=0.8)),
        A.GaussianBlur(blur_limit=(3, 5), sigma_limit=(0.1, 2.0), p=0.5),
    ]


def mirrored(view: View, channels: Sequence[str]) -> list[A.BasicTransform]:
    """Crop and mirror left to right: photographs have an upright but no handedness."""
    return [resized_crop(view), A.HorizontalFlip(p=0.5)]


class Noise(A.ImageOnlyTransform):  # type: ignore[misc]
    """Adds white Gaussian noise at a ratio of the mean squares of image and noise.

    Args:
        snr: The ratio in dB.
    """

    def __init__(self, snr: float) -> None:
        super().__init__(p=1)
        self.snr = snr

    def apply(self, img: Image, noise: NDArray[np.float32], **params: object) -> Image:
        """Adds the noise and keeps the range of the type."""
        top = 255 if img.dtype == np.uint8 else 1
        noisy: Image = (img.astype(np.float32) + noise).clip(0, top)
        return noisy.round().astype(np.uint8) if top == 255 else noisy

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Draws the noise."""
        image = data["image"].astype(np.float32)
        sigma = float(np.sqrt(np.square(image).mean() / 10 ** (self.snr / 10)))
        drawn = self.random_generator.standard_normal(image.shape, dtype=np.float32)
        return {"noise": sigma * drawn}


class Contrast(A.ImageOnlyTransform):  # type: ignore[misc]
    """Brings values towards the mean of their channel.

    Args:
        left: What is left of the distance from it.
    """

    def __init__(self, left: float) -> None:
        super().__init__(p=1)
        self.left = left

    def apply(self, img: Image, **params: object) -> Image:
        """Mixes image and mean."""
        mean = img.mean(axis=(0, 1), dtype=np.float32)
        mixed: Image = mean + np.float32(self.left) * (img - mean)
        return mixed.round().astype(np.uint8) if img.dtype == np.uint8 else mixed.clip(0, 1)


def noise(snr: float, channels: Sequence[str]) -> A.BasicTransform | None:
    """White noise at a ratio in dB."""
    return Noise(snr)


def blur(sigma: float, channels: Sequence[str]) -> A.BasicTransform | None:
    """Gaussian blur; `sigma` in pixels."""
    return A.GaussianBlur(blur_limit=0, sigma_limit=(sigma, sigma), p=1)


def contrast(percent: float, channels: Sequence[str]) -> A.BasicTransform | None:
    """So many percent of the contrast are left."""
    return Contrast(percent / 100)


def jpeg(quality: float, channels: Sequence[str]) -> A.BasicTransform | None:
    """Compression by JPEG at a quality of 1 to 100."""
    return Jpeg("jpeg", (int(quality), int(quality)), p=1)


NATURAL = Domain(
    name="natural",
    summary="Ordinary photographs; SimCLR's views.",
    datasets=("image_folder", "arrays"),
    demo="digits",
    policies={"default": simclr_views, "weak": mirrored, "upright": mirrored},
    corruptions={
        "noise": Corruption(noise, (20, 10, 5, 0), "dB"),
        "blur": Corruption(blur, (1, 2, 3, 4), "px"),
        "contrast": Corruption(contrast, (40, 30, 20, 10), "% left"),
        "JPEG": Corruption(jpeg, (50, 25, 10, 5), "quality"),
    },
)
