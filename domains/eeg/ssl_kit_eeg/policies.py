"""How a window of a biosignal may be altered while it shows the same; the README argues each.

The names of the channels tell what an image is; see `kinds.kind_of`. Nothing is mirrored or turned
in a picture: its axes are time, frequency, electrodes, or left and right of a head.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2

from ssl_kit import View
from ssl_kit.data import augment

from .kinds import Kind, kind_of
from .transforms import (
    DropChannels,
    Excerpt,
    FrequencyShift,
    Level,
    Mask,
    Noise,
    Scale,
    SignFlip,
)

_LEAST = 0.6  # share of the time that a large view of a picture shows: it is stretched to its size


def default(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Time shift; amplitude, noise and hidden parts; sign and frequencies of EEG."""
    kind = kind_of(channels)
    several = [DropChannels(2, 0.25)] if len(channels) > 1 else []
    return [
        *excerpt(view, kind),
        *{
            "eeg": [FrequencyShift(), Scale((0.7, 1.4), True), SignFlip(p=0.5), *several],
            "wearable": [Scale((0.8, 1.25), False), *several],
            "grid": [Scale((0.7, 1.4), True), SignFlip(p=0.5), DropChannels(0, 0.25)],
            "map": [_shifted_cap(), Level(0.05)],
            "picture": [Level(0.05), *several, Mask(0, 0.2)],
        }[kind],
        Noise((20, 30) if kind in ("map", "picture") else (10, 25)),
        *([] if kind == "map" else [Mask(1, 0.2)]),
    ]


def weak(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Time shift alone."""
    return excerpt(view, kind_of(channels))


def upright(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Time shift, amplitude and noise: nothing is hidden, no sign or frequency changes."""
    kind = kind_of(channels)
    louder = {
        "eeg": Scale((0.7, 1.4), True),
        "grid": Scale((0.7, 1.4), True),
        "wearable": Scale((0.8, 1.25), False),
    }
    return [*excerpt(view, kind), louder.get(kind, Level(0.05)), Noise((15, 30))]


def whole(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """The middle of a signal, as many samples as a view has; of a picture all."""
    return excerpt(view, kind_of(channels), place=0.5)


def excerpt(view: View, kind: Kind, place: float | None = None) -> list[augment.Transform]:
    """A part of the time. Signals are cut and never resized: that would change frequencies.

    A view of a signal has `view.size` samples, whatever its scale. Of a picture a large view shows
    60 % of the time or more, a small one what it asks for; a map is shown whole.
    """
    if kind == "map":
        return [augment.Resize(view.size, view.size, interpolation=cv2.INTER_LINEAR)]
    if kind != "picture":
        return [Excerpt(view.size, rows="repeat" if kind == "grid" else "smooth", place=place)]
    low, high = view.scale
    share = (1.0, 1.0) if place is not None else (max(low, min(_LEAST, high)), high)
    return [Excerpt(view.size, share=share, place=place)]


def _shifted_cap() -> augment.Transform:
    """The cap sits up to 4 % of the head further front, back, left or right."""
    shift = {"x": (-0.04, 0.04), "y": (-0.04, 0.04)}
    return augment.Affine(translate_percent=shift, border_mode=cv2.BORDER_CONSTANT, fill=0, p=0.5)
