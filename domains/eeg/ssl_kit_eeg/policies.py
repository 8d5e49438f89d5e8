"""Augmentation policies of windows of biosignals; the README gives the reason for each transform.

The names of the channels tell what an image is; see `kinds.kind_of`. Pictures are not flipped or
rotated, because their axes are time, frequency, electrodes, or left and right of a head.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2

from ssl_kit import View
from ssl_kit.data import (
    Excerpt,
    Level,
    Mask,
    Noise,
    Scale,
    SignFlip,
    assume_time_to_the_right,
    augment,
)

from .kinds import Kind, kind_of
from .transforms import DropChannels, FrequencyShift

_LEAST = 0.6  # least share of the time in a large view of a picture, which is resized


def default(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Time shift, amplitude, noise and masks; sign and frequency shift of EEG."""
    kind = kind_of(channels)
    several = [DropChannels(2, 0.25)] if len(channels) > 1 else []
    transforms: dict[Kind, list[augment.Transform]] = {
        "eeg": [FrequencyShift(), Scale((0.7, 1.4), True), SignFlip(p=0.5), *several],
        "wearable": [Scale((0.8, 1.25), False), *several],
        "grid": [Scale((0.7, 1.4), True), SignFlip(p=0.5), DropChannels(0, 0.25)],
        "map": [_shifted_cap(), Level(0.05)],
        "picture": [Level(0.05), *several, Mask(0, 0.2)],
    }
    return [
        *excerpt(view, channels),
        *transforms[kind],
        Noise((20, 30) if kind in ("map", "picture") else (10, 25)),
        *([] if kind == "map" else [Mask(1, 0.2)]),
    ]


def weak(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Time shift only."""
    return excerpt(view, channels)


def upright(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Time shift, amplitude and noise, without masks and changes of sign or frequency."""
    kind = kind_of(channels)
    louder = {
        "eeg": Scale((0.7, 1.4), True),
        "grid": Scale((0.7, 1.4), True),
        "wearable": Scale((0.8, 1.25), False),
    }
    return [*excerpt(view, channels), louder.get(kind, Level(0.05)), Noise((15, 30))]


def whole(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """The center of a signal, with as many samples as a view has; the whole picture."""
    return excerpt(view, channels, place=0.5)


def excerpt(
    view: View, channels: Sequence[str], place: float | None = None
) -> list[augment.Transform]:
    """Returns a crop in time. Signals are not resized, because that would change frequencies.

    A view of a signal has `view.size` samples at any scale. A large view of a picture shows at
    least 60 % of the time, a local crop the scale that it asks for. A map is shown whole.
    """
    kind = kind_of(channels)
    if kind == "map":
        return [augment.Resize(view.size, view.size, interpolation=cv2.INTER_LINEAR)]
    if kind != "picture":
        return [Excerpt(view.size, rows="repeat" if kind == "grid" else "smooth", place=place)]
    assume_time_to_the_right(tuple(channels))
    low, high = view.scale
    share = (1.0, 1.0) if place is not None else (max(low, min(_LEAST, high)), high)
    return [Excerpt(view.size, share=share, place=place)]


def _shifted_cap() -> augment.Transform:
    """Returns a shift of the cap by up to 4 % of the head to the front, back, left or right."""
    shift = {"x": (-0.04, 0.04), "y": (-0.04, 0.04)}
    return augment.Affine(translate_percent=shift, border_mode=cv2.BORDER_CONSTANT, fill=0, p=0.5)
