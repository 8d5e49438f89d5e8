"""How an image of a patient may be altered while it shows the same; the README argues each.

Three colours are taken for microscopy, where nothing has an upright; all else for radiographs and
slices, which do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import pi, sqrt

import albumentations as A

from ssl_kit import View, only_with, resized_crop

from .transforms import BiasField, Elastic, RicianNoise, Tone

_RGB = ("red", "green", "blue")
_LEAST = 0.4  # share of an image that a large crop keeps: a finding may be small


def default(view: View, channels: Sequence[str]) -> list[A.BasicTransform]:
    """Crop, pose, display, shading and noise; symmetries and stain for microscopy."""
    if tuple(channels) == _RGB:
        return [
            crop(view),
            A.D4(p=1),
            Tone(p=0.5),
            *only_with(_RGB, channels, A.ColorJitter(0.2, 0.2, 0.2, 0.03, p=0.8)),
            BiasField(strength=0.25, p=0.5),
            A.GaussianBlur(blur_limit=(3, 5), sigma_limit=(0.1, 1.2), p=0.3),
            RicianNoise(highest=0.03, p=0.3),
        ]
    return [
        crop(view),
        A.Affine(rotate=(-10, 10), p=0.5),
        elastic(view.size),
        Tone(p=0.8),
        BiasField(p=0.5),
        A.GaussianBlur(blur_limit=(3, 5), sigma_limit=(0.1, 1.0), p=0.3),
        RicianNoise(p=0.5),
    ]


def weak(view: View, channels: Sequence[str]) -> list[A.BasicTransform]:
    """Crop, and the eight symmetries of microscopy."""
    return [crop(view), *([A.D4(p=1)] if tuple(channels) == _RGB else [])]


def upright(view: View, channels: Sequence[str]) -> list[A.BasicTransform]:
    """Crop; left and right may change places in microscopy only: a heart is on the left."""
    return [crop(view), *([A.HorizontalFlip(p=0.5)] if tuple(channels) == _RGB else [])]


def crop(view: View) -> A.BasicTransform:
    """A crop that keeps at least 40 % of the area, unless a small one was asked for."""
    low, high = view.scale
    return resized_crop(replace(view, scale=(max(low, min(_LEAST, high)), high)))


def elastic(size: int) -> A.BasicTransform:
    """Bends soft tissue by about 1.5 % of the image, smoothly over a tenth of it."""
    sigma = size / 10
    spread = 1 / sqrt(3) / (2 * sqrt(pi) * sigma)  # of uniform noise after a Gaussian of sigma
    return Elastic(alpha=0.015 * size / spread, sigma=sigma, p=0.3)
