"""Ordinary photographs, with the views of SimCLR. Few other kinds of image suit these views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import Corruption, Domain, Image, View
from ...data import augment, from_levels, if_channels, resized_crop

_RGB = ("red", "green", "blue")


def simclr_views(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop, flip, color distortion and blur of SimCLR (appendix A) at strength 0.5."""
    return [
        resized_crop(view),
        augment.HorizontalFlip(p=0.5),
        *if_channels(
            _RGB, channels, augment.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8), augment.ToGray(p=0.2)
        ),
        *if_channels(("gray",), channels, augment.RandomBrightnessContrast(0.4, 0.4, p=0.8)),
        augment.GaussianBlur(blur_limit=0, sigma_limit=(0.1, 2.0), p=0.5),
    ]


def mirrored(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop and horizontal flip. Photographs have an upright orientation but no handedness."""
    return [resized_crop(view), augment.HorizontalFlip(p=0.5)]


class Noise(augment.ImageTransform):
    """Adds white Gaussian noise at a ratio of the mean squares of image and noise.

    Args:
        snr: Signal-to-noise ratio in dB.
    """

    def __init__(self, snr: float) -> None:
        super().__init__()
        self.snr = snr

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the noise in the units of the image."""
        power = np.square(image.astype(np.float32)).mean()
        sigma = float(np.sqrt(power / 10 ** (self.snr / 10)))
        return {"noise": sigma * self.random_generator.standard_normal(image.shape, np.float32)}

    def apply(self, img: Image, noise: NDArray[np.float32], **params: object) -> Image:
        """Adds the noise."""
        return from_levels(img.astype(np.float32) + noise, img)


class Contrast(augment.ImageTransform):
    """Moves values towards the mean of their channel.

    Args:
        factor: Factor of the distance to the mean, in [0, 1].
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def apply(self, img: Image, **params: object) -> Image:
        """Mixes image and mean."""
        mean = img.mean(axis=(0, 1), dtype=np.float32)
        return from_levels(mean + np.float32(self.factor) * (img - mean), img)


def noise(snr: float, channels: Sequence[str]) -> augment.Transform | None:
    """White noise at a signal-to-noise ratio in dB."""
    return Noise(snr)


def blur(sigma: float, channels: Sequence[str]) -> augment.Transform | None:
    """Gaussian blur of a standard deviation in pixels."""
    return augment.GaussianBlur(blur_limit=0, sigma_limit=(sigma, sigma), p=1)


def contrast(percent: float, channels: Sequence[str]) -> augment.Transform | None:
    """Lower contrast, of which some percent are left."""
    return Contrast(percent / 100)


def jpeg(quality: float, channels: Sequence[str]) -> augment.Transform | None:
    """JPEG compression at a quality of 1 to 100."""
    return augment.Jpeg("jpeg", (int(quality), int(quality)), p=1)


NATURAL = Domain(
    name="natural",
    summary="Ordinary photographs; SimCLR's views.",
    datasets=("image_folder", "arrays", "matlab"),
    demo="digits",
    policies={"default": simclr_views, "weak": mirrored, "upright": mirrored},
    corruptions={
        "noise": Corruption(noise, (20, 10, 5, 0), "dB"),
        "blur": Corruption(blur, (1, 2, 3, 4), "px"),
        "contrast": Corruption(contrast, (40, 30, 20, 10), "% left"),
        "JPEG": Corruption(jpeg, (50, 25, 10, 5), "quality"),
    },
)
