"""Augmentation policies of audio; the README gives the reason for each transform.

Pictures are not flipped or rotated, because their axes are time and frequency.
"""

from __future__ import annotations

from collections.abc import Sequence

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

from .windows import WAVEFORM

_LEAST = 0.6  # least share of the time in a large view of a picture, which is resized


def default(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Time shift, gain, noise and SpecAugment's masks; sign of waveforms."""
    if channels[0] == WAVEFORM:
        changes = [Scale((0.5, 2.0), True), SignFlip(p=0.5), Noise((5, 25)), Mask(1, 0.1)]
    else:
        changes = [Level(0.08), Noise((15, 30)), Mask(0, 0.25), Mask(1, 0.15)]
    return [*excerpt(view, channels), *changes]


def weak(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Time shift only."""
    return excerpt(view, channels)


def upright(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Time shift, gain and noise, without masks and changes of sign."""
    gain = Scale((0.5, 2.0), True) if channels[0] == WAVEFORM else Level(0.08)
    return [*excerpt(view, channels), gain, Noise((15, 30))]


def whole(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """The center of a waveform, with as many samples as a view has; the whole picture."""
    return excerpt(view, channels, place=0.5)


def excerpt(
    view: View, channels: Sequence[str], place: float | None = None
) -> list[augment.Transform]:
    """Returns a crop in time. Waveforms are not resized, because that would change frequencies.

    A view of a waveform has `view.size` samples at any scale. A large view of a picture shows at
    least 60 % of the time, a local crop the scale that it asks for.
    """
    if channels[0] == WAVEFORM:
        return [Excerpt(view.size, place=place)]
    assume_time_to_the_right(tuple(channels))
    low, high = view.scale
    share = (1.0, 1.0) if place is not None else (max(low, min(_LEAST, high)), high)
    return [Excerpt(view.size, share=share, place=place)]
