"""Corruptions of audio; strengths go from mild to severe.

Windows of audio files are changed before they become pictures, so transforms get waveforms
(1, n, 1) unless the files themselves are pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from ssl_kit import Corruption, Image
from ssl_kit.data import ZERO, Noise, augment, from_unit, to_unit

from .windows import LOG_MEL, WAVEFORM

_RATE = 16000  # Hz, to which `audio_files` resamples unless told otherwise
_ORDER = 6
_PACKETS = 50


class Reverberation(augment.ImageTransform):
    """Convolves with decaying noise, as a room does, and keeps the loudness.

    The power of the echo grows with its length, as at one place in rooms with harder and harder
    walls; at half a second it equals that of the direct sound.

    Args:
        seconds: Time in which the echo falls by 60 dB (RT60).
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the impulse response behind the direct sound."""
        time = np.arange(1, max(2, min(image.shape[1], round(self.seconds * _RATE)))) / _RATE
        echo = self.random_generator.standard_normal(len(time)) * 10 ** (-3 * time / self.seconds)
        return {"echo": echo * np.sqrt(2 * self.seconds / np.square(echo).sum())}

    def apply(self, img: Image, echo: NDArray[np.float64], **params: Any) -> Image:
        """Convolves, and restores the standard deviation."""
        x = to_unit(img) - ZERO
        response = np.concatenate([[1.0], echo]).reshape(1, -1, *[1] * (x.ndim - 2))
        y = signal.fftconvolve(x, response, axes=1)[:, : x.shape[1]]
        return from_unit((y * (x.std() / max(y.std(), 1e-9))).astype(np.float32) + ZERO, img)


class LowPass(augment.ImageTransform):
    """Removes what is above a frequency, as telephones and cheap microphones do.

    Args:
        hertz: Highest frequency that remains.
    """

    def __init__(self, hertz: float) -> None:
        super().__init__()
        self.hertz = hertz

    def apply(self, img: Image, **params: Any) -> Image:
        """Filters without shift of phase."""
        sos = signal.butter(_ORDER, self.hertz, fs=_RATE, output="sos")
        y = signal.sosfiltfilt(sos, to_unit(img) - ZERO, axis=1)
        return from_unit(y.astype(np.float32) + ZERO, img)


class Clipping(augment.ImageTransform):
    """Cuts off the largest magnitudes, as an overdriven amplifier does.

    Args:
        percent: Percent of the samples that are cut off.
    """

    def __init__(self, percent: float) -> None:
        super().__init__()
        self.percent = percent

    def apply(self, img: Image, **params: Any) -> Image:
        """Limits the magnitude."""
        x = to_unit(img) - ZERO
        limit = np.percentile(np.abs(x), 100 - self.percent)
        return from_unit(np.clip(x, -limit, limit) + ZERO, img)


class Gaps(augment.ImageTransform):
    """Silences packets of a fiftieth of the window, as a bad connection does.

    Args:
        percent: Percent of the packets that are lost.
    """

    def __init__(self, percent: float) -> None:
        super().__init__()
        self.percent = percent

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the packets; those of a smaller percentage are among those of a larger one."""
        order = self.random_generator.permutation(_PACKETS)
        return {"lost": order < round(self.percent / 100 * _PACKETS)}

    def apply(self, img: Image, lost: NDArray[np.bool_], **params: Any) -> Image:
        """Silences the packets."""
        x = to_unit(img).copy()
        packet = np.arange(x.shape[1]) * _PACKETS // x.shape[1]
        x[:, lost[packet]] = ZERO
        return from_unit(x, img)


def noise(decibels: float, channels: Sequence[str]) -> augment.Transform | None:
    """White noise at a signal-to-noise ratio; pictures in files get it on their decibels."""
    return Noise((decibels, decibels), p=1)


def reverberation(seconds: float, channels: Sequence[str]) -> augment.Transform | None:
    """The echo of a room, by the time in which it falls by 60 dB; not for pictures in files."""
    return Reverberation(seconds) if _is_audio(channels) else None


def low_pass(hertz: float, channels: Sequence[str]) -> augment.Transform | None:
    """Low-pass filter at a frequency, as on a telephone; not for pictures in files."""
    return LowPass(hertz) if _is_audio(channels) else None


def clipping(percent: float, channels: Sequence[str]) -> augment.Transform | None:
    """Clips the loudest samples, as an overdriven amplifier does; not for pictures in files."""
    return Clipping(percent) if _is_audio(channels) else None


def gaps(percent: float, channels: Sequence[str]) -> augment.Transform | None:
    """Lost packets, each a fiftieth of the window; not for pictures in files."""
    return Gaps(percent) if _is_audio(channels) else None


def _is_audio(channels: Sequence[str]) -> bool:
    """Tells whether images are waveforms or pictures that this package makes of them."""
    return tuple(channels) in ((WAVEFORM,), (LOG_MEL,))


CORRUPTIONS: Mapping[str, Corruption] = {
    "noise": Corruption(noise, (20, 10, 5, 0), "dB"),
    "reverberation": Corruption(reverberation, (0.2, 0.5, 1, 2), "s"),
    "low-pass": Corruption(low_pass, (4000, 2000, 1000, 500), "Hz"),
    "clipping": Corruption(clipping, (1, 5, 20, 50), "% clipped"),
    "gaps": Corruption(gaps, (4, 10, 20, 50), "% lost"),
}
