"""Augmentation policies of radar images; the README gives the reason for each transform.

Range runs along the rows, so only a horizontal flip keeps layover and shadow on their sides.
"""

from __future__ import annotations

from collections.abc import Sequence

from ssl_kit import View
from ssl_kit.data import augment, whole_image

from .aperture import LookMix, PhaseOffset, SubAperture, look_pairs
from .pixels import Meaning
from .speckle import Gain, LogNormalSpeckle, Respeckle

_LEAST = 0.85  # share of the area that a large view shows, because targets differ in size


def frame(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Returns a square crop that keeps proportions and nearly keeps the scale of targets.

    A view that may be the whole image shows at least 85 % of the area; local crops of multi-crop
    methods have the scale that they ask for. Complex images are cropped without resizing, which
    would filter them.
    """
    if Meaning.of(channels).real:
        return [augment.RandomCrop(view.size, view.size, pad_if_needed=True, fill=0.5)]
    low, high = view.scale
    low = min(max(low, _LEAST), high) if high == 1 else low
    return [
        augment.RandomResizedCrop(
            (view.size, view.size), (low, high), ratio=(1, 1), area_for_downscale="image"
        )
    ]


def aperture(channels: Sequence[str]) -> list[augment.Transform]:
    """Returns the transforms for complex images and for sub-looks."""
    names = tuple(channels)
    if Meaning.of(names).real:
        return [SubAperture(names), PhaseOffset(names)]
    return [LookMix(names)] if look_pairs(names)[0] else []


def default(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Small shift and crop, flip in azimuth, another look at the same scene, gain."""
    names = tuple(channels)
    return [
        *frame(view, names),
        augment.HorizontalFlip(p=0.5),
        *aperture(names),
        Respeckle(names),
        Gain(names),
    ]


def weak(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Small shift and crop, and flip in azimuth."""
    return [*frame(view, channels), augment.HorizontalFlip(p=0.5)]


def upright(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Small shift and crop, and another look; azimuth and direction of the shadow stay."""
    return [*frame(view, channels), Respeckle(tuple(channels))]


def dca(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """The views of the authors of DCA without rotation, which would invent the corners."""
    names = tuple(channels)
    return [
        *frame(view, names),
        augment.HorizontalFlip(p=0.5),
        Gain(names, decibels=3, p=0.4),
        LogNormalSpeckle(names),
    ]


def whole(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """The whole image; the center crop of a complex image, because resizing would filter it."""
    if Meaning.of(channels).real:
        return [augment.CenterCrop(view.size, view.size, pad_if_needed=True, fill=0.5)]
    return whole_image(view, channels)
