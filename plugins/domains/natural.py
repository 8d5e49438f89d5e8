"""Ordinary photographs: the views of SimCLR, which are right for few other kinds of image."""

from __future__ import annotations

from collections.abc import Sequence

import albumentations as A

from ssl_kit import Domain, View, only_with, resized_crop

_RGB = ("red", "green", "blue")


def simclr_views(view: View, channels: Sequence[str]) -> list[A.BasicTransform]:
    """Crop, flip, colour distortion and blur of SimCLR, appendix A, at strength 0.5."""
    return [
        resized_crop(view),
        A.HorizontalFlip(p=0.5),
        *only_with(_RGB, channels, A.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8), A.ToGray(p=0.2)),
        *only_with(("grey",), channels, A.RandomBrightnessContrast(0.4, 0.4, p=0.8)),
        A.GaussianBlur(blur_limit=(3, 5), sigma_limit=(0.1, 2.0), p=0.5),
    ]


def mirrored(view: View, channels: Sequence[str]) -> list[A.BasicTransform]:
    """Crop and mirror left to right: photographs have an upright but no handedness."""
    return [resized_crop(view), A.HorizontalFlip(p=0.5)]


NATURAL = Domain(
    name="natural",
    summary="Ordinary photographs; SimCLR's views.",
    datasets=("image_folder", "arrays"),
    demo="digits",
    policies={"default": simclr_views, "weak": mirrored, "upright": mirrored},
)
