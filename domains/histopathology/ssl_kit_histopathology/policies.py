"""Augmentation policies of stained tissue; the README gives the reason for each transform."""

from __future__ import annotations

from collections.abc import Sequence

from ssl_kit import View
from ssl_kit.data import augment, if_channels, resized_crop

from .transforms import Bend, Macenko, Reinhard, StainJitter

_RGB = ("red", "green", "blue")


def default(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop, the eight symmetries of a square, stain, deformation, focus and compression."""
    return [
        resized_crop(view),
        augment.D4(p=1),
        Bend(p=0.3),
        *if_channels(_RGB, channels, StainJitter()),
        augment.GaussianBlur(blur_limit=(3, 5), sigma_limit=(0.1, 1.0), p=0.3),
        *if_channels(_RGB, channels, augment.Jpeg(quality_range=(40, 95), p=0.3)),
    ]


def weak(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop and the eight symmetries of a square."""
    return [resized_crop(view), augment.D4(p=1)]


def upright(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop and horizontal flip, for objectives that predict a rotation."""
    return [resized_crop(view), augment.HorizontalFlip(p=0.5)]


def macenko(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """The default after stain normalization by Macenko's method."""
    return [*if_channels(_RGB, channels, Macenko()), *default(view, channels)]


def reinhard(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """The default after color normalization by Reinhard's method."""
    return [*if_channels(_RGB, channels, Reinhard()), *default(view, channels)]
