"""Recordings in MATLAB files: an array of samples beside a sampling rate and channel names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError
from ssl_kit.data import MatFile, read_matlab, shape_of

from .channel_types import types_of
from .electrodes import canonical
from .source_base import NoRateError, Reals, Source, spans_between

_RATES = ("srate", "fs", "fsample", "sfreq", "samplingrate", "sampling_rate", "sample_rate", "hz")
_NAMES = ("chanlocs.labels", "ch_names", "channels", "channel_names", "clab", "labels", "label")
_DATA = ("data", "eeg", "signal", "signals", "x", "eegdata", "eeg_data")


class MatlabSource(Source):
    """A recording in microvolts: channels x samples, or samples x channels, or with trials.

    Structs are searched as well (EEGLAB's EEG.data, EEG.srate, EEG.chanlocs). The longer axis is
    time, unless the number of names tells. Trials of a third axis are parts with pauses.
    """

    declares_rate = False

    def __init__(self, path: Path, rate: float, variable: str = "") -> None:
        """Reads the file, which stays in memory.

        Raises:
            DataError: If it is not clear which array is the signal.
            NoRateError: If the file has no sampling rate, and none is given.
        """
        content = read_matlab(path)
        name = variable if variable else _signal_in(content)
        array = content.arrays[content.choose(name)]
        labels = _near(content.texts, _NAMES) or []
        self._rate = rate or _rate_in(content)
        if not self._rate:
            raise NoRateError(
                "has no number called fs or srate that gives the samples in a second "
                f"({content.listed()}); --set data.options.rate=HZ gives it"
            )
        self._samples, trials = _by_channel(array, len(labels))
        count = len(self._samples)
        fitting = labels if len(labels) == count else [f"eeg{c + 1}" for c in range(count)]
        names = canonical(fitting)
        self._row = {name.lower(): row for row, name in enumerate(names)}
        self._set_types(names, types_of(fitting))
        seconds = self._samples.shape[1] / self._rate
        joints = [(k * seconds / trials, 0.0) for k in range(1, trials)]
        self.spans = spans_between(joints, seconds)
        if labels and len(labels) != count:
            self.remarks += (
                f"there are {len(labels)} names for {count} channels; they are numbered",
            )
        if trials > 1:
            self.remarks += ("the last axis is taken for trials; no window lies across two",)

    def rate_of(self, name: str) -> float:
        """Returns the sampling rate in Hz, which all channels have."""
        return self._rate

    def read(self, start: int, stop: int, names: Sequence[str]) -> Reals:
        """Returns an interval."""
        rows = [self._row[name.lower()] for name in names]
        return np.ascontiguousarray(self._samples[rows, start:stop], dtype=np.float32)


def _signal_in(content: MatFile) -> str:
    """Returns the array that is called as signals are, or the only one, which may be a vector.

    It is "" if none or several are.
    """
    named = [name for name in content.images() if name.lower().rpartition(".")[2] in _DATA]
    vectors = [name for name, array in content.arrays.items() if array.size > 1]
    found = named or ([] if content.images() else vectors)
    return found[0] if len(found) == 1 else ""


def _near(values: dict[str, Any], names: Sequence[str]) -> Any:
    """Returns the value of the first of some names, in any struct."""
    lower = {name.lower(): name for name in values}
    for name in names:
        found = [full for low, full in lower.items() if low == name or low.endswith(f".{name}")]
        if found:
            return values[found[0]]
    return None


def _rate_in(content: MatFile) -> float:
    numbers = {name: array for name, array in content.arrays.items() if array.size == 1}
    value = _near(numbers, _RATES)
    return 0.0 if value is None else float(value.ravel()[0].real)


def _by_channel(array: NDArray[Any], names: int) -> tuple[NDArray[np.float32], int]:
    """Returns channels x samples, and the number of trials.

    Args:
        array: (C, n), (n, C) or (C, n, trials), in microvolts.
        names: Number of channel names, 0 if there are none.

    Raises:
        DataError: If it has another number of axes, or complex numbers.
    """
    if array.ndim not in (2, 3) or array.dtype.kind not in "iufb":
        raise DataError(f"has an array {shape_of(array)}, which is no signal of channels x samples")
    if array.ndim == 3:
        trials = array.shape[2]
        return array.transpose(0, 2, 1).reshape(array.shape[0], -1).astype(np.float32), trials
    turned = array.shape[1] == names or (
        array.shape[0] != names and array.shape[0] > array.shape[1]
    )
    return (array.T if turned else array).astype(np.float32), 1
