"""Augmentations. This is the only module that imports albumentations, and all policies use it.

Another engine can replace albumentations if it offers the names below. Transforms have the random
generators `py_random` and `random_generator`, which `Compose.set_random_state` sets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import albumentations as A
import cv2
import numpy as np
from albumentations.core.transforms_interface import Targets

from ..core.dataset import Image
from ..core.dataset import Transform as Transform

Make = Callable[..., Transform]

Affine: Make = A.Affine
CenterCrop: Make = A.CenterCrop
ColorJitter: Make = A.ColorJitter
GaussianBlur: Make = A.GaussianBlur
HorizontalFlip: Make = A.HorizontalFlip
MotionBlur: Make = A.MotionBlur
MultiplicativeNoise: Make = A.MultiplicativeNoise
RandomBrightnessContrast: Make = A.RandomBrightnessContrast
RandomCrop: Make = A.RandomCrop
RandomResizedCrop: Make = A.RandomResizedCrop
Resize: Make = A.Resize
SmallestMaxSize: Make = A.SmallestMaxSize
ToGray: Make = A.ToGray
Compose, ElasticTransform, KeypointParams = A.Compose, A.ElasticTransform, A.KeypointParams
MovesPixels = A.DualTransform


class _Drawn:
    """What `ImageTransform` and `SpatialTransform` have in common."""

    def __init__(self, p: float = 1) -> None:
        super().__init__(p=p)  # type: ignore[call-arg]

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the keyword arguments of `apply` from `py_random` or `random_generator`.

        `ssl-kit views` prints them below each view: numbers with their names, and of `channels`,
        which are positions, the names of the channels.
        """
        return {}

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Draws the parameters; albumentations calls it."""
        return self.draw(data["image"])


class ImageTransform(_Drawn, A.ImageOnlyTransform):  # type: ignore[misc]
    """Base of transforms that change values and move no pixel.

    A subclass implements `apply(img, **drawn)`, and `draw` if it is random.

    Args:
        p: Probability of the transform.
    """


class SpatialTransform(_Drawn, A.DualTransform):  # type: ignore[misc]
    """Base of transforms that move pixels; a subclass implements `apply_to_keypoints` as well.

    Args:
        p: Probability of the transform.
    """

    _targets = (Targets.IMAGE, Targets.KEYPOINTS)


class ResizedCrop(A.RandomResizedCrop):  # type: ignore[misc]
    """Random crop that is halved until it is nearly small enough, which avoids aliasing cheaply."""

    def apply(self, img: Image, crop_coords: tuple[int, int, int, int], **params: object) -> Image:
        """Cuts out (left, top, right, bottom) and resizes it."""
        left, top, right, bottom = crop_coords
        crop = img[top:bottom, left:right]
        height, width = self.size
        while crop.shape[0] >= 2 * height and crop.shape[1] >= 2 * width:
            even = crop[: crop.shape[0] // 2 * 2, : crop.shape[1] // 2 * 2]
            crop = resize(even, (even.shape[1] // 2, even.shape[0] // 2), cv2.INTER_AREA)
        return resize(crop, (width, height), cv2.INTER_LINEAR)


def resize(image: Image, size: tuple[int, int], interpolation: int) -> Image:
    """Resizes (H, W, C) of any C to (width, height); OpenCV takes four channels at a time."""
    parts = [
        cv2.resize(image[..., c : c + 4], size, interpolation=interpolation)
        for c in range(0, image.shape[2], 4)
    ]
    parts = [part[..., None] if part.ndim == 2 else part for part in parts]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def downscale(image: Image, times: float) -> Image:
    """Lowers the resolution: averages over larger pixels and upsamples them linearly.

    Args:
        image: (H, W, C), any C.
        times: How many times longer a pixel's side is.

    Returns:
        (H, W, C), of the same type.
    """
    size = image.shape[1::-1]
    small = [max(1, round(side / times)) for side in size]
    out = np.empty_like(image)
    for c in range(image.shape[2]):  # OpenCV takes four channels at most
        plane = np.ascontiguousarray(image[..., c])
        plane = cv2.resize(plane, small, interpolation=cv2.INTER_AREA)
        out[..., c] = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
    return out


class Downscale(ImageTransform):
    """Lowers the resolution, for any number of channels; that of albumentations takes up to four.

    Args:
        times: How many times longer a pixel's side is.
    """

    def __init__(self, times: float) -> None:
        super().__init__()
        self.times = times

    def apply(self, img: Image, **params: Any) -> Image:
        """Lowers the resolution."""
        return downscale(img, self.times)


class Jpeg(A.ImageCompression):  # type: ignore[misc]
    """JPEG compression of RGB. That of albumentations takes the image for BGR."""

    def apply(self, img: Image, **params: Any) -> Image:
        """Compresses blue, green, red; other numbers of channels as they are."""
        order = slice(None, None, -1 if img.shape[2] == 3 else 1)
        compressed: Image = super().apply(np.ascontiguousarray(img[..., order]), **params)
        return np.ascontiguousarray(compressed[..., order])


class D4(A.D4):  # type: ignore[misc]
    """The eight symmetries of a square by OpenCV, which is faster than NumPy in albumentations."""

    def apply(self, img: Image, group_element: str, **params: Any) -> Image:
        """Turns or mirrors (H, W, C); NumPy turns images of more than four channels."""
        if img.shape[2] > _MOST_TURNED:
            symmetric: Image = super().apply(img, group_element, **params)
            return symmetric
        turned: Image = _TURNS[group_element](img)
        return turned.reshape(*turned.shape[:2], img.shape[2])


_MOST_TURNED = 4
_TURNS: dict[str, Callable[[Image], Any]] = {
    "e": lambda image: image,
    "r90": lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
    "r180": lambda image: cv2.rotate(image, cv2.ROTATE_180),
    "r270": lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    "v": lambda image: cv2.flip(image, 0),
    "h": lambda image: cv2.flip(image, 1),
    "t": cv2.transpose,
    "hvt": lambda image: cv2.flip(cv2.transpose(image), -1),
}
