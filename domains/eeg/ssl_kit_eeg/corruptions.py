"""Corruptions of biosignals; strengths go from mild to severe.

Windows of EEG are changed before they become pictures (`Windows.through`), so transforms get
signals (1, T, C) unless the files themselves are pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_kit import Corruption, Image
from ssl_kit.data import Mask, Noise, augment, from_unit, to_unit

from .kinds import kind_of
from .transforms import DropChannels

Reals = NDArray[np.float32]
_MADE = {"spectrogram", "mel", "scalogram"}  # pictures that are made of windows here
_RATE = 128.0  # Hz, to which `recordings` resamples unless told otherwise
_MAINS = 50.0  # Hz


class LineNoise(augment.ImageTransform):
    """Adds a sine of 50 Hz, of the same phase in all channels.

    Args:
        decibels: Signal-to-noise ratio in dB.
    """

    def __init__(self, decibels: float) -> None:
        super().__init__()
        self.decibels = decibels

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the phase."""
        return {"phase": self.py_random.uniform(0, 2 * np.pi)}

    def apply(self, img: Image, phase: float, **params: Any) -> Image:
        """Adds the sine."""
        turn = 2 * np.pi * _MAINS / _RATE * np.arange(img.shape[1]) + phase
        return _add(img, np.sqrt(2) * np.sin(turn)[None, :, None], 10 ** (-self.decibels / 20))


class Drift(augment.ImageTransform):
    """Adds half a period of a cosine over the window, as a drying electrode or sweat does.

    Args:
        times: Standard deviation of the drift, as a multiple of that of the channel.
    """

    def __init__(self, times: float) -> None:
        super().__init__()
        self.times = times

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the sign of the drift in each channel."""
        return {"sign": self.random_generator.choice((-1.0, 1.0), image.shape[2])}

    def apply(self, img: Image, sign: NDArray[np.float64], **params: Any) -> Image:
        """Adds the drift, whose mean is zero."""
        place = (np.arange(img.shape[1]) + 0.5) / img.shape[1]
        return _add(img, np.sqrt(2) * np.cos(np.pi * place)[None, :, None] * sign, self.times)


def _add(image: Image, wave: NDArray[np.float64], times: float) -> Image:
    """Adds a wave of unit power, `times` the standard deviation of each channel."""
    unit = to_unit(image)
    spread = unit.std(axis=1, keepdims=True)
    return from_unit(unit + (times * wave * spread).astype(np.float32), image)


class Contact(Mask):
    """`Mask` of an interval that always has the largest length."""

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the start; a shorter interval lies within a longer one."""
        length = image.shape[self.axis]
        width = round(self.most * length)
        first = round(self.py_random.random() * (length - width))
        return {"hidden": slice(first, first + width)}


class Silent(DropChannels):
    """`DropChannels` that always drops the largest share; at least one channel stays."""

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the channels: those of a smaller share are among those of a larger one."""
        size = image.shape[self.axis]
        order = self.random_generator.permutation(size).tolist()
        return {"channels": order[: min(size - 1, max(1, round(self.most * size)))]}


def _signals(channels: Sequence[str]) -> bool:
    """Tells whether the channels are signals or pictures that this package makes of signals."""
    ends = {name.rpartition("_")[2] for name in channels}
    return kind_of(channels) != "picture" or ends <= _MADE


def noise(decibels: float, channels: Sequence[str]) -> augment.Transform | None:
    """White noise at a signal-to-noise ratio; pictures in files get it on their decibels."""
    return Noise((decibels, decibels), p=1)


def line(decibels: float, channels: Sequence[str]) -> augment.Transform | None:
    """Line noise at a signal-to-noise ratio, for EEG only because pictures end at 45 Hz."""
    return LineNoise(decibels) if kind_of(channels) in ("eeg", "grid") else None


def drift(times: float, channels: Sequence[str]) -> augment.Transform | None:
    """Slow drift in standard deviations of the signal; not for pictures in files."""
    return Drift(times) if _signals(channels) else None


def contact(percent: float, channels: Sequence[str]) -> augment.Transform | None:
    """All channels are flat for some percent of the time."""
    return Contact(1, percent / 100, p=1)


def electrodes(percent: float, channels: Sequence[str]) -> augment.Transform | None:
    """Some percent of the channels are flat; not for one channel."""
    several = len(channels) > 1 or kind_of(channels) in ("grid", "map")
    return Silent(2, percent / 100, p=1) if several and _signals(channels) else None


CORRUPTIONS: Mapping[str, Corruption] = {
    "noise": Corruption(noise, (20, 10, 5, 0), "dB"),
    "line noise": Corruption(line, (20, 10, 0, -10), "dB"),
    "drift": Corruption(drift, (0.5, 1, 2, 4), "times"),
    "contact": Corruption(contact, (10, 25, 50, 75), "% flat"),
    "electrodes": Corruption(electrodes, (10, 25, 50, 75), "% flat"),
}
