"""Augmentation policies of scenes from above; the README gives the reason for each transform."""

from __future__ import annotations

from collections.abc import Sequence

from ssl_kit import View
from ssl_kit.data import augment, if_channels, resized_crop

from .bands import INDICES, RGB, THERMAL, canonical, wavelengths
from .transforms import BandDrop, Radiometry, Saturation


def default(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop, the eight symmetries of a square, light, air and sensor."""
    return [
        resized_crop(view),
        augment.D4(p=1),
        Radiometry(
            wavelengths(channels),
            sunlit=tuple(canonical(name) not in THERMAL for name in channels),
            measured=tuple(name not in INDICES for name in channels),
        ),
        *if_channels(RGB, channels, Saturation()),
        *([BandDrop()] if len(channels) > len(RGB) else []),
        augment.GaussianBlur(blur_limit=(3, 5), sigma_limit=(0.1, 1.2), p=0.1),
    ]


def weak(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop and the eight symmetries of a square."""
    return [resized_crop(view), augment.D4(p=1)]


def upright(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop and horizontal flip, for objectives that predict a rotation."""
    return [resized_crop(view), augment.HorizontalFlip(p=0.5)]
