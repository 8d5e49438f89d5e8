"""Augmentation policies of scenes from above; the README gives the reason for each transform."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache

from ssl_kit import View
from ssl_kit.data import augment, if_channels, resized_crop

from .bands import INDICES, RGB, THERMAL, canonical, wavelengths
from .transforms import BandDrop, Radiometry, Saturation

_log = logging.getLogger("ssl_kit")


def default(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop, eight symmetries of a square, brightness and contrast, haze, dropped bands, blur."""
    _ask_about_names(tuple(channels))
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


@cache
def _ask_about_names(channels: tuple[str, ...]) -> None:
    """Logs names that the vocabulary spells otherwise, as those of arrays may be."""
    known = {name: canonical(name) for name in channels}
    slips = [f"'{known[name]}' for '{name}'" for name in channels if known[name] not in ("", name)]
    if slips:
        _log.info(
            "Did you mean %s? Haze and the weights of other runs know bands by these names.",
            ", ".join(slips),
        )


def weak(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop and the eight symmetries of a square."""
    return [resized_crop(view), augment.D4(p=1)]


def upright(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop and horizontal flip, for objectives that predict a rotation."""
    return [resized_crop(view), augment.HorizontalFlip(p=0.5)]
