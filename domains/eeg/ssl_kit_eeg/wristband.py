"""Files of an Empatica E4 wristband; each holds one signal with a start and a rate.

https://support.empatica.com/hc/en-us/articles/201608896: line 1 is the start as Unix time, line 2
the rate in Hz, then a sample a line; IBI.csv has the time since the start and the length of beats.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from ssl_kit import DataError

from .lines import Lines, is_number
from .pictures import Reals

CHANNELS = {
    "acc": ("acc_x_g", "acc_y_g", "acc_z_g"),
    "bvp": ("bvp_au",),
    "eda": ("eda_us",),
    "hr": ("hr_bpm",),
    "ibi": ("ibi_s",),
    "temp": ("temp_c",),
}
_FACTOR = {"acc": 1 / 64}  # of g
_HIGHEST = 1000.0  # Hz
_MOST_BEATS = 2**21


class Track:
    """One signal of a session.

    Attributes:
        start: Time of the first sample, Unix time in seconds.
        stop: Time of the last sample.
    """

    def __init__(self, path: Path, signal: str) -> None:
        """Reads the first lines.

        Args:
            path: Path of the file.
            signal: A key of `CHANNELS`.

        Raises:
            DataError: If the file is none of a wristband.
        """
        self._name, self._signal = path.name, signal
        try:
            self._lines = Lines(path, head=3)
        except DataError as error:
            raise DataError(f"'{path.name}' {error}") from error
        first, second, third = self._lines.head
        beats = signal == "ibi"
        numbers = [first[0], *([] if beats else second), *third]
        width = 2 if beats else len(CHANNELS[signal])
        if not all(is_number(field) for field in numbers) or len(third) != width:
            raise DataError(f"'{path.name}' does not begin with a start, a rate and samples")
        self._lines.skip = 1 if beats else 2
        self.start, self._rate = float(first[0]), 1.0 if beats else float(second[0])
        if not np.isfinite(self.start) or not 0 < self._rate <= _HIGHEST:
            raise DataError(f"'{path.name}' declares {self._rate:g} samples a second")
        if beats and self._lines.count > _MOST_BEATS:
            raise DataError(f"'{path.name}' has {self._lines.count} beats, more than are read")
        self.stop = self.start + self._last()

    def _last(self) -> float:
        last = self._lines.count - 1
        return (
            float(self._read(last, last + 1)[0, 0]) if self._signal == "ibi" else last / self._rate
        )

    def _read(self, start: int, stop: int) -> NDArray[np.float64]:
        try:
            return self._lines.read(start, stop)
        except DataError as error:
            raise DataError(f"'{self._name}': {error}") from error

    def at(self, times: NDArray[np.float64]) -> Reals:
        """Returns the signal at evenly spaced times, (C, n).

        A signal with a higher rate is averaged over a step; between samples it is interpolated.

        Args:
            times: (n,) Unix seconds.
        """
        since = times - self.start
        if self._signal == "ibi":
            beats = self._read(0, self._lines.count)
            return np.interp(since, beats[:, 0], beats[:, 1])[None].astype(np.float32)
        step = since[1] - since[0] if len(since) > 1 else 1 / self._rate
        width = max(1, round(step * self._rate))
        first = max(0, int(np.floor(since[0] * self._rate)) - width)
        stop = min(self._lines.count, int(np.ceil(since[-1] * self._rate)) + width + 1)
        values = self._read(first, stop) * _FACTOR.get(self._signal, 1.0)
        values = uniform_filter1d(values, width, axis=0, mode="nearest")
        known = np.arange(first, first + len(values)) / self._rate
        return np.stack([np.interp(since, known, column) for column in values.T]).astype(np.float32)


class Session:
    """The signals of a folder, on one clock.

    Attributes:
        start: Start of the last signal to begin, Unix time in seconds.
        stop: End of the first signal to end.
    """

    def __init__(self, folder: Path, signals: tuple[str, ...]) -> None:
        """Opens the files.

        Args:
            folder: Folder with ACC.csv, EDA.csv, ...
            signals: Keys of `CHANNELS`.

        Raises:
            DataError: If a file is missing or damaged.
        """
        self._tracks = []
        for signal in signals:
            path = folder / f"{signal.upper()}.csv"
            if not path.is_file():
                raise DataError(f"has no {path.name}")
            self._tracks.append(Track(path, signal))
        self.start = max(track.start for track in self._tracks)
        self.stop = min(track.stop for track in self._tracks)

    def at(self, times: NDArray[np.float64]) -> Reals:
        """Returns all channels at evenly spaced times, (C, n).

        Args:
            times: (n,) Unix seconds.
        """
        return np.concatenate([track.at(times) for track in self._tracks])
