"""Augmentation policies of medical images; the README gives the reason for each transform.

Color images are microscopy, which has no upright orientation. Gray images are radiographs and
slices, which have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import pi, sqrt

from ssl_kit import View
from ssl_kit.data import augment, if_channels, resized_crop

from .transforms import BiasField, Elastic, RicianNoise, Symmetries, Tone

_RGB = ("red", "green", "blue")
_LEAST = 0.4  # share of the area that a large crop keeps, because a finding may be small


def default(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop, rotation, deformation, contrast, shading, blur, noise; for cells symmetry, stain."""
    return [
        *weak(view, channels),
        augment.Affine(rotate=(-10, 10), p=0.5),
        elastic(view.size),
        Tone(),
        *if_channels(_RGB, channels, augment.ColorJitter(0, 0, 0.2, 0.03, p=0.8)),
        BiasField(),
        augment.GaussianBlur(blur_limit=(3, 5), sigma_limit=(0.1, 1.0), p=0.3),
        RicianNoise(),
    ]


def weak(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop; for cells the eight symmetries of a square too."""
    return [crop(view), *if_channels(_RGB, channels, Symmetries())]


def upright(view: View, channels: Sequence[str]) -> list[augment.Transform]:
    """Crop; horizontal flip for cells only, because the heart is on the left."""
    return [crop(view), *if_channels(_RGB, channels, Symmetries(("e", "h")))]


def crop(view: View) -> augment.Transform:
    """Returns a crop of at least 40 % of the area, unless the view asks for a local crop."""
    low, high = view.scale
    return resized_crop(replace(view, scale=(max(low, min(_LEAST, high)), high)))


def elastic(size: int) -> augment.Transform:
    """Returns an elastic deformation by 0.65 % of the image (rms), smooth over a tenth of it."""
    sigma = size / 10
    spread = 1 / sqrt(3) / (2 * sqrt(pi) * sigma)  # of uniform noise after a Gaussian of sigma
    alpha = 0.0065 * size / spread
    return Elastic(alpha=alpha, sigma=sigma, noise_distribution="uniform", p=0.3)
