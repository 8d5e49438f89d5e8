"""Signals in time as images: augmentations, and the base of their readers.

A signal (C, T) is an image (1, T, C); its pictures have rows of frequencies. Time runs to the right
in both.
"""

from __future__ import annotations

import copy
import logging
from abc import abstractmethod
from functools import cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.dataset import Dataset, Image
from .augment import Compose, ImageTransform, SpatialTransform, Transform, resize
from .pixels import from_unit, to_unit

Signal = NDArray[np.float32]
ZERO = np.float32(0.5)  # image value of a signal's zero
_TIME = 1
_OF_FILES = {"red", "green", "blue", "gray", "alpha"}  # channels of a picture of anything
_log = logging.getLogger("ssl_kit")
_ROOM = 30  # for what is added to a signal, as a multiple of its largest value


@cache
def assume_time_to_the_right(channels: tuple[str, ...]) -> None:
    """Says once that ordinary pictures are taken for pictures of signals.

    Args:
        channels: Names of the channels.
    """
    if set(channels) <= _OF_FILES:
        _log.info(
            "The images are taken for pictures of signals, with time to the right and frequency "
            "up. For others give another --domain."
        )


class Excerpt(SpatialTransform):
    """Crops an image in time; all rows stay.

    Args:
        size: Size of the result in pixels: (size, size), or (1, size) if the image has height 1.
        share: Range of the share of the columns that is shown. None takes `size` columns without
            resizing, so that no frequency changes.
        rows: Interpolation of the rows: "smooth", or "repeat" if each row is a channel.
        place: Position of the crop from 0 (start) to 1 (end); None draws it.
        p: Probability of the transform.
    """

    def __init__(
        self,
        size: int,
        share: tuple[float, float] | None = None,
        rows: Literal["smooth", "repeat"] = "smooth",
        place: float | None = None,
        p: float = 1,
    ) -> None:
        super().__init__(p=p)
        self.size, self.share, self.rows, self.place = size, share, rows, place

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the crop."""
        columns = image.shape[1]
        share = 1.0 if self.share is None else self.py_random.uniform(*self.share)
        width = self.size if self.share is None else max(1, round(share * columns))
        place = self.py_random.random() if self.place is None else self.place
        return {"first": round(place * (columns - width)), "width": width}

    def apply(self, img: Image, first: int, width: int, **params: Any) -> Image:
        """Crops the columns; beyond the ends the first or last column is repeated."""
        image = img if img.ndim == 3 else img[..., None]
        columns = np.clip(np.arange(first, first + width), 0, image.shape[1] - 1)
        part = image[:, columns]
        if len(part) == 1 and self.share is None:
            return part
        how = cv2.INTER_LINEAR if self.rows == "smooth" else cv2.INTER_NEAREST
        return _resized(part, 1 if len(part) == 1 else self.size, self.size, how)

    def apply_to_keypoints(
        self, keypoints: NDArray[Any], first: int, width: int, **params: Any
    ) -> NDArray[Any]:
        """Moves points with the pixels."""
        rows = params["shape"][0]
        moved = keypoints.copy()
        moved[:, 0] = (keypoints[:, 0] - first) * (self.size / width)
        moved[:, 1] = keypoints[:, 1] * ((1 if rows == 1 else self.size) / rows)
        return moved


def _resized(image: Image, height: int, width: int, how: int) -> Image:
    """Resizes any number of channels, by averages if the image becomes smaller."""
    if how == cv2.INTER_LINEAR and image.shape[0] > height and image.shape[1] > width:
        how = cv2.INTER_AREA
    return resize(np.ascontiguousarray(image), (width, height), how).reshape(height, width, -1)


class Scale(ImageTransform):
    """Multiplies amplitudes by one factor, because distance, contact and amplifier differ.

    Args:
        factor: Range of the factor, whose logarithm is drawn uniformly.
        about_zero: Whether 0.5 stays, as for signals about zero; else the mean of each channel.
        p: Probability of the transform.
    """

    def __init__(self, factor: tuple[float, float], about_zero: bool, p: float = 0.8) -> None:
        super().__init__(p=p)
        self.factor, self.about_zero = factor, about_zero

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the factor."""
        return {"by": np.exp(self.py_random.uniform(*np.log(self.factor)))}

    def apply(self, img: Image, by: float, **params: Any) -> Image:
        """Multiplies the amplitudes."""
        unit = to_unit(img)
        zero = ZERO if self.about_zero else unit.mean(axis=_TIME, keepdims=True)
        return from_unit(zero + np.float32(by) * (unit - zero), img)


class Level(ImageTransform):
    """Adds one number to decibels, as a factor of the amplitude does.

    Args:
        most: Largest magnitude of the number, as a share of the range.
        p: Probability of the transform.
    """

    def __init__(self, most: float, p: float = 0.8) -> None:
        super().__init__(p=p)
        self.most = most

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the number."""
        return {"by": self.py_random.uniform(-self.most, self.most)}

    def apply(self, img: Image, by: float, **params: Any) -> Image:
        """Adds the number."""
        return from_unit(to_unit(img) + np.float32(by), img)


class SignFlip(ImageTransform):
    """Inverts the sign of a signal about zero, which depends on the reference or the wiring."""

    def apply(self, img: Image, **params: Any) -> Image:
        """Mirrors the values at 0.5."""
        return from_unit(1 - to_unit(img), img)


class Noise(ImageTransform):
    """Adds white Gaussian noise at a signal-to-noise ratio in each channel.

    Args:
        decibels: Range of the signal-to-noise ratio in dB.
        p: Probability of the transform.
    """

    def __init__(self, decibels: tuple[float, float], p: float = 0.5) -> None:
        super().__init__(p=p)
        self.decibels = decibels

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws ratio and noise."""
        white = self.random_generator.standard_normal(image.shape, np.float32)
        return {"white": white, "decibels": self.py_random.uniform(*self.decibels)}

    def apply(self, img: Image, white: Image, decibels: float, **params: Any) -> Image:
        """Adds noise; the power of a channel is its variance."""
        unit = to_unit(img)
        spread = unit.std(axis=(0, 1), keepdims=True)
        return from_unit(
            unit + white.reshape(unit.shape) * spread * np.float32(10 ** (-decibels / 20)), img
        )


class Mask(ImageTransform):
    """Masks an interval of time or of frequencies in all channels by the channel's mean.

    SpecAugment, Park et al. 2019, https://arxiv.org/abs/1904.08779.

    Args:
        axis: 0 for rows, 1 for time.
        most: Largest length of the interval, as a share of the image.
        p: Probability of the transform.
    """

    def __init__(self, axis: Literal[0, 1], most: float, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.axis, self.most = axis, most

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the interval."""
        length = image.shape[self.axis]
        width = round(self.py_random.uniform(0, self.most) * length)
        first = self.py_random.randint(0, length - width)
        return {"hidden": slice(first, first + width)}

    def apply(self, img: Image, hidden: slice, **params: Any) -> Image:
        """Masks the interval."""
        unit = to_unit(img)
        mean = unit.mean(axis=(0, 1), keepdims=True)
        unit[(hidden,) if self.axis == 0 else (slice(None), hidden)] = mean
        return from_unit(unit, img)


class SignalDataset(Dataset):
    """Base of datasets of signals that become images; a subclass sets `index` and `channels`."""

    _corruption: Transform | None = None

    @abstractmethod
    def signal(self, i: int) -> Signal:
        """Returns signal i, (C, T), in physical units.

        Raises:
            DataError: If its file is damaged.
        """

    @abstractmethod
    def picture(self, x: Signal) -> Image:
        """Returns the image (H, W, C') of a signal (C, T), in physical values."""

    def read(self, i: int) -> Image:
        """Returns the image of signal i, (H, W, C), in physical values."""
        return self.picture(self.signal(i) if self._corruption is None else self._corrupted(i))

    def through(self, transform: Transform) -> SignalDataset:
        """Returns the same signals, altered before they become images."""
        measured = self.value_range  # of what is not altered
        other = copy.copy(self)
        other._corruption, other._value_range = transform, measured
        return other

    def _corrupted(self, i: int) -> Signal:
        """Returns signal i after the transform, (C, T); random by i alone."""
        x = self.signal(i)
        scale = _ROOM * max(float(np.abs(x).max()), 1e-6)
        pipeline = Compose([self._corruption])
        pipeline.set_random_seed(i)
        corrupted = pipeline(image=np.ascontiguousarray(x.T[None]) / np.float32(2 * scale) + ZERO)
        return np.asarray((corrupted["image"][0].T - ZERO) * (2 * scale), np.float32)
