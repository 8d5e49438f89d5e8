"""How stained tissue may be altered while it stays the same tissue; the README argues each."""

from __future__ import annotations

from collections.abc import Sequence


from ssl_kit import View
from ssl_kit.data import augment, if_channels, resized_crop

from .transforms import Bend, Macenko, Reinhard, StainJitter

_RGB = ("red", "green", "blue")


def default(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop, the eight symmetries of a square, stain, bending, focus and compression."""
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
    """Crop and mirror left to right: what predicts a rotation must still find its answer."""
    return [resized_crop(view), augment.HorizontalFlip(p=0.5)]


def macenko(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """The default, after the stains were brought to a reference by Macenko's method."""
    return [*if_channels(_RGB, channels, Macenko()), *default(view, channels)]


def reinhard(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """The default, after the colors were brought to a reference by Reinhard's method."""
    return [*if_channels(_RGB, channels, Reinhard()), *default(view, channels)]
