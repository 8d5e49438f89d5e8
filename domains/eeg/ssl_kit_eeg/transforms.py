"""What can be done to windows of a signal and to their pictures, for any number of channels.

Time runs to the right in all of them. 
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.signal import hilbert

from ssl_kit import Image
from ssl_kit.data import augment

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
ZERO = np.float32(0.5)  # of microvolts
_TIME, _CHANNELS = 1, 2


def to_unit(image: Image) -> Image:
    """Returns a float32 copy in [0, 1]."""
    unit = image.astype(np.float32)
    return unit / 255 if image.dtype == np.uint8 else unit


def like(unit: Image, image: Image) -> Image:
    """Returns values of about [0, 1], clipped, in the type and shape of an image."""
    unit = unit.clip(0, 1).reshape(image.shape)
    return np.rint(unit * 255).astype(np.uint8) if image.dtype == np.uint8 else unit


class Excerpt(augment.SpatialTransform):
    """A part of the time that an image shows, all of its rows.

    Args:
        size: Pixels of the result: (size, size), or (1, size) of an image of height 1.
        share: Range of the part of the columns that is shown; None takes `size` columns as they
            are, so that no frequency changes.
        rows: How rows are made `size` many: "smooth", or "repeat" where each is a channel.
        place: Where the part begins: 0.5 is the middle, None is drawn.
        p: Chance.
    """

    _targets = ALL = (
        augment.core.transforms_interface.Targets.IMAGE,
        augment.core.transforms_interface.Targets.KEYPOINTS,
    )

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
        """Draws the part."""
        columns = image.shape[1]
        share = 1.0 if self.share is None else self.py_random.uniform(*self.share)
        width = self.size if self.share is None else max(1, round(share * columns))
        place = self.py_random.random() if self.place is None else self.place
        return {"first": round(place * (columns - width)), "width": width}

    def apply(self, img: Image, first: int, width: int, **params: Any) -> Image:
        """Cuts it out; what is not there repeats the first or last column."""
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
        """Moves points along."""
        rows = image.shape[0]
        moved = keypoints.copy()
        moved[:, 0] = (keypoints[:, 0] - first) * (self.size / width)
        moved[:, 1] = keypoints[:, 1] * ((1 if rows == 1 else self.size) / rows)
        return moved


def _resized(image: Image, height: int, width: int, how: int) -> Image:
    """Resizes any number of channels; what becomes smaller is averaged first."""
    if how == cv2.INTER_LINEAR and image.shape[0] > height and image.shape[1] > width:
        how = cv2.INTER_AREA
    parts = [
        cv2.resize(np.ascontiguousarray(image[..., c : c + 4]), (width, height), interpolation=how)
        for c in range(0, image.shape[2], 4)
    ]
    return np.concatenate([part.reshape(height, width, -1) for part in parts], axis=2)


class Scale(augment.ImageTransform):
    """Multiplies amplitudes by one factor: impedance, skull and amplifier differ.

    Args:
        factor: Range, its logarithm is drawn evenly.
        about_zero: Whether 0.5 is zero, as of microvolts; else the mean of each channel stays.
        p: Chance.
    """

    def __init__(self, factor: tuple[float, float], about_zero: bool, p: float = 0.8) -> None:
        super().__init__(p=p)
        self.factor, self.about_zero = factor, about_zero

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the factor."""
        return {"by": np.exp(self.py_random.uniform(*np.log(self.factor)))}

    def apply(self, img: Image, by: float, **params: Any) -> Image:
        """Multiplies."""
        unit = to_unit(img)
        zero = ZERO if self.about_zero else unit.mean(axis=_TIME, keepdims=True)
        return like(zero + np.float32(by) * (unit - zero), img)


class Level(augment.ImageTransform):
    """Adds one number to decibels, which is what a factor of the amplitude does to a picture.

    Args:
        most: Of the number, as a share of the range.
        p: Chance.
    """

    def __init__(self, most: float, p: float = 0.8) -> None:
        super().__init__(p=p)
        self.most = most

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the number."""
        return {"by": self.py_random.uniform(-self.most, self.most)}

    def apply(self, img: Image, by: float, **params: Any) -> Image:
        """Adds."""
        return like(to_unit(img) + np.float32(by), img)


class SignFlip(augment.ImageTransform):
    """Turns microvolts upside down: which electrode is the reference decides the sign."""

    def apply(self, img: Image, **params: Any) -> Image:
        """Turns round 0.5."""
        return like(1 - to_unit(img), img)


class Noise(augment.ImageTransform):
    """Adds white Gaussian noise at a signal-to-noise ratio, that of each channel.

    Args:
        decibels: Range of the ratio of powers.
        p: Chance.
    """

    def __init__(self, decibels: tuple[float, float], p: float = 0.5) -> None:
        super().__init__(p=p)
        self.decibels = decibels

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws ratio and noise."""
        white = self.random_generator.standard_normal(image.shape, np.float32)
        return {"white": white, "ratio": self.py_random.uniform(*self.decibels)}

    def apply(self, img: Image, white: Image, ratio: float, **params: Any) -> Image:
        """Adds; the power of a channel is its variance."""
        unit = to_unit(img)
        spread = unit.std(axis=(0, 1), keepdims=True)
        return like(
            unit + white.reshape(unit.shape) * spread * np.float32(10 ** (-ratio / 20)), img
        )


class Mask(augment.ImageTransform):
    """Blanks a stretch of time or of frequencies, in all channels: it becomes the channel's mean.

    SpecAugment, Park et al. 2019, https://arxiv.org/abs/1904.08779.

    Args:
        axis: 0 for rows, 1 for time.
        most: Of the stretch, as a share of the image.
        p: Chance.
    """

    def __init__(self, axis: Literal[0, 1], most: float, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.axis, self.most = axis, most

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the stretch."""
        length = image.shape[self.axis]
        width = round(self.py_random.uniform(0, self.most) * length)
        first = self.py_random.randint(0, length - width)
        return {"hidden": slice(first, first + width)}

    def apply(self, img: Image, hidden: slice, **params: Any) -> Image:
        """Blanks it."""
        unit = to_unit(img)
        mean = unit.mean(axis=(0, 1), keepdims=True)
        unit[(hidden,) if self.axis == 0 else (slice(None), hidden)] = mean
        return like(unit, img)


class DropChannels(augment.ImageTransform):
    """Silences some channels, as loose electrodes: they become their mean.

    Args:
        axis: 0 where each row is a channel (some rows), 2 where the image has channels.
        most: Share of the channels.
        p: Chance.
    """

    def __init__(self, axis: Literal[0, 2], most: float, p: float = 0.3) -> None:
        super().__init__(p=p)
        self.axis, self.most = axis, most

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the channels; one at least stays."""
        channels = image.shape[self.axis] if image.ndim > self.axis else 1
        count = min(channels - 1, max(1, self.py_random.randint(0, round(self.most * channels))))
        return {"silent": self.py_random.sample(range(channels), count)}

    def apply(self, img: Image, silent: list[int], **params: Any) -> Image:
        """Silences them."""
        unit = to_unit(img)
        if silent and self.axis == 0:
            unit[silent] = unit[silent].mean(axis=1, keepdims=True)
        elif silent:
            unit[..., silent] = unit[..., silent].mean(axis=(0, 1), keepdims=True)
        return like(unit, img)


class FrequencyShift(augment.ImageTransform):
    """Moves all frequencies by the same amount: rhythms differ from person to person.

    By the analytic signal, as Rommel et al. 2021, https://arxiv.org/abs/2106.13695.

    Args:
        most: Cycles in a sample; 1/256 at 128 Hz is half a hertz.
        p: Chance.
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
        return like(moved.astype(np.float32) + ZERO, img)
