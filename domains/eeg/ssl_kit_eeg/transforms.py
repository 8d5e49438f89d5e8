"""Augmentations of windows of a signal and of their pictures, for any number of channels.

Time runs to the right in all of them.
"""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.signal import hilbert

from ssl_kit import Image
from ssl_kit.data import augment, from_unit, to_unit

ZERO = np.float32(0.5)  # of microvolts
_TIME, _CHANNELS = 1, 2


class Excerpt(augment.SpatialTransform):
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
    parts = [
        cv2.resize(np.ascontiguousarray(image[..., c : c + 4]), (width, height), interpolation=how)
        for c in range(0, image.shape[2], 4)
    ]
    return np.concatenate([part.reshape(height, width, -1) for part in parts], axis=2)


class Scale(augment.ImageTransform):
    """Multiplies amplitudes by one factor, because impedance, skull and amplifier differ.

    Args:
        factor: Range of the factor, whose logarithm is drawn uniformly.
        about_zero: Whether 0.5 stays, as for microvolts; else the mean of each channel stays.
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


class Level(augment.ImageTransform):
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


class SignFlip(augment.ImageTransform):
    """Inverts the sign of microvolts, which depends on the reference electrode."""

    def apply(self, img: Image, **params: Any) -> Image:
        """Mirrors the values at 0.5."""
        return from_unit(1 - to_unit(img), img)


class Noise(augment.ImageTransform):
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


class Mask(augment.ImageTransform):
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


class DropChannels(augment.ImageTransform):
    """Replaces some channels by their mean, as those of loose electrodes.

    Args:
        axis: 0 if each row is a channel, 2 if the image has channels.
        most: Largest share of the channels.
        p: Probability of the transform.
    """

    def __init__(self, axis: Literal[0, 2], most: float, p: float = 0.3) -> None:
        super().__init__(p=p)
        self.axis, self.most = axis, most

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the channels; at least one stays."""
        size = image.shape[self.axis] if image.ndim > self.axis else 1
        count = min(size - 1, max(1, self.py_random.randint(0, round(self.most * size))))
        return {"channels": self.py_random.sample(range(size), count)}

    def apply(self, img: Image, channels: list[int], **params: Any) -> Image:
        """Replaces the channels by their mean."""
        unit = to_unit(img)
        if channels and self.axis == 0:
            unit[channels] = unit[channels].mean(axis=1, keepdims=True)
        elif channels:
            unit[..., channels] = unit[..., channels].mean(axis=(0, 1), keepdims=True)
        return from_unit(unit, img)


class FrequencyShift(augment.ImageTransform):
    """Shifts all frequencies by the same amount, because rhythms differ between persons.

    The analytic signal is rotated, as by Rommel et al. 2021, https://arxiv.org/abs/2106.13695.

    Args:
        most: Largest shift in cycles per sample; 1/256 at 128 Hz is half a hertz.
        p: Probability of the transform.
    """

    def __init__(self, most: float = 1 / 256, p: float = 0.3) -> None:
        super().__init__(p=p)
        self.most = most

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the shift."""
        return {"by": self.py_random.uniform(-self.most, self.most)}

    def apply(self, img: Image, by: float, **params: Any) -> Image:
        """Multiplies the analytic signal by a rotation."""
        unit = to_unit(img) - ZERO
        turn = np.exp(2j * np.pi * by * np.arange(unit.shape[_TIME]))
        turn = turn.reshape(1, -1, *[1] * (unit.ndim - 2))
        moved = (hilbert(unit, axis=_TIME) * turn).real
        return from_unit(moved.astype(np.float32) + ZERO, img)
