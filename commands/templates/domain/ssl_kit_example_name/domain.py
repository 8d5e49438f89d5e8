"""Augmentation policies of these images, and the readers of their files."""

from __future__ import annotations

from collections.abc import Sequence

from ssl_kit import Domain, View
from ssl_kit.data import augment, resized_crop


def default(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop, the eight symmetries of a square, light, and focus.

    Each transform assumes something of the images: they have no upright orientation and no
    handedness, and neither brightness nor a slight blur changes what they show. For an augmentation
    that needs certain channels see `ssl_kit.data.if_channels`.
    """
    return [
        resized_crop(view),
        augment.D4(p=1),
        augment.RandomBrightnessContrast(0.3, 0.3, p=0.8),
        augment.GaussianBlur(blur_limit=(3, 5), sigma_limit=(0.1, 1.0), p=0.3),
    ]


def weak(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop and the eight symmetries of a square."""
    return [resized_crop(view), augment.D4(p=1)]


def upright(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop and horizontal flip, for objectives that rotate images."""
    return [resized_crop(view), augment.HorizontalFlip(p=0.5)]


EXAMPLE_NAME = Domain(
    name="example_name",
    summary="Images of example_name: PNG, TIFF and NumPy files.",
    datasets=("image_folder", "arrays", "matlab"),  # the first that accepts the files reads them
    demo="example_name_demo",
    policies={"default": default, "weak": weak, "upright": upright},
    defaults={"encoder": {"image_size": 64}},  # any setting of a run that suits these images
)
