"""How a radar image may be altered while it shows the same; the README argues each.

Range runs along the rows, so that only a mirroring from left to right leaves layover and shadow on
their sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import albumentations as A

from ssl_kit import View

from .aperture import LookMix, PhaseOffset, SubAperture, look_pairs
from .pixels import Meaning
from .speckle import Gain, LogNormalSpeckle, Respeckle

_LEAST = 0.85  # share of the area that a large view shows: size tells targets apart


def frame(view: View, channels: Sequence[str]) -> list[A.BasicTransform]:
    """A square crop that keeps proportions, and nearly the scale: targets are told by their size.

    Of a view that may be the whole image the smallest crop is 85 % of the area; small views of
    multi-crop methods get what they ask for. Complex images are cut without resizing, which would
    filter them.
    """
    if Meaning.of(channels).real:
        return [A.RandomCrop(view.size, view.size, pad_if_needed=True, fill=0.5)]
    low, high = view.scale
    low = min(max(low, _LEAST), high) if high == 1 else low
    return [
        A.RandomResizedCrop(
            (view.size, view.size), (low, high), ratio=(1, 1), area_for_downscale="image"
        )
    ]


def aperture(channels: Sequence[str]) -> list[A.BasicTransform]:
    """What can be done to complex images and to sub-looks only."""
    names = tuple(channels)
    if Meaning.of(names).real:
        return [SubAperture(names), PhaseOffset(names)]
    return [LookMix(names)] if look_pairs(names)[0] else []


def default(view: View, channels: Sequence[str]) -> list[A.BasicTransform]:
    """Small shift and crop, mirroring in azimuth, another look at the same ground, gain."""
    names = tuple(channels)
    return [
        *frame(view, names),
        A.HorizontalFlip(p=0.5),
        *aperture(names),
        Respeckle(names),
        Gain(names),
    ]


def weak(view: View, channels: Sequence[str]) -> list[A.BasicTransform]:
    """Small shift and crop, and mirroring in azimuth."""
    return [*frame(view, channels), A.HorizontalFlip(p=0.5)]


def upright(view: View, channels: Sequence[str]) -> list[A.BasicTransform]:
    """Small shift and crop, another look: azimuth and direction of the shadow stay."""
    return [*frame(view, channels), Respeckle(tuple(channels))]


def dca(view: View, channels: Sequence[str]) -> list[A.BasicTransform]:
    """The views of DCA's authors, but for the free rotation, which makes up corners."""
    names = tuple(channels)
    return [
        *frame(view, names),
        A.HorizontalFlip(p=0.5),
        Gain(names, decibels=3, p=0.4),
        LogNormalSpeckle(names),
    ]


def whole(view: View, channels: Sequence[str]) -> list[A.BasicTransform]:
    """The whole image; of a complex one the center, since resizing would filter it."""
    if Meaning.of(channels).real:
        return [A.CenterCrop(view.size, view.size, pad_if_needed=True, fill=0.5)]
    return [
        A.SmallestMaxSize(view.size, area_for_downscale="image"),
        A.CenterCrop(view.size, view.size, pad_if_needed=True),
    ]
