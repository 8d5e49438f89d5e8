"""Opens recordings by their endings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssl_kit import DataError, UsageError
from ssl_kit.data import keep_open

from .channel_types import types_of
from .edf import EdfSource
from .electrodes import canonical
from .lines import Lines, is_number
from .mne_source import GdfSource, MneSource, holds_its_data
from .source_base import Note as Note
from .source_base import Reals, Source, spans_between

TEXT = (".txt", ".csv", ".tsv")
BINARY = (".edf", ".bdf", ".gdf", ".fif", ".vhdr", ".ahdr", ".set")
_NO_SIGNAL = ("time", "times", "timestamp", "timestamps", "index", "sample", "seconds", "")


class TextSource(Source):
    """Text in microvolts: lines are samples, columns are channels, with or without a header."""

    def __init__(self, path: Path, rate: float) -> None:
        if not rate:
            raise UsageError(
                "Text files do not say how many samples there are in a second. Give "
                "--set data.options.rate=HZ (173.61 for the Bonn EEG)."
            )
        self._lines, self._rate = Lines(path, head=1), rate
        fields = self._lines.head[0]
        named = not all(is_number(field) for field in fields)
        self._lines.skip = int(named)
        if not self._lines.count:
            raise DataError("holds no numbers")
        if not named:
            fields = ["eeg"] if len(fields) == 1 else [f"eeg{c + 1}" for c in range(len(fields))]
        signals = [c for c, name in enumerate(fields) if name.strip().lower() not in _NO_SIGNAL]
        names = canonical([fields[c] for c in signals])
        self._columns = dict(zip((name.lower() for name in names), signals, strict=True))
        self._set_types(names, types_of([fields[c] for c in signals]))
        self.spans = spans_between([], self._lines.count / rate)
        width = self._lines.read(0, 1).shape[1]
        if width != len(fields):
            raise DataError(f"has {len(fields)} names for {width} columns")

    def rate_of(self, name: str) -> float:
        """Returns the sampling rate in Hz, which all channels have."""
        return self._rate

    def read(self, start: int, stop: int, names: Sequence[str]) -> Reals:
        """Reads lines."""
        table = self._lines.read(start, stop)
        columns = [self._columns[name.lower()] for name in names]
        if len(table) != stop - start or table.shape[1] <= max(columns):
            raise DataError("has been cut off or changed since it was opened")
        return np.ascontiguousarray(table[:, columns].T, dtype=np.float32)


def open_source(path: Path, rate: float = 0) -> Source:
    """Opens a recording by its ending, or returns it if it is open in this process.

    Args:
        path: Path of the file.
        rate: Sampling rate of text files in Hz.

    Raises:
        DataError: If the file cannot be used.
        UsageError: If it is a text file and no rate is given.
    """
    return (_open_whole if holds_its_data(path) else _open)(path, rate)


@keep_open(32)
def _open(path: Path, rate: float) -> Source:
    ending = path.suffix.lower()
    if ending in TEXT:
        return TextSource(path, rate)
    reader = {".edf": EdfSource, ".bdf": EdfSource, ".gdf": GdfSource}.get(ending, MneSource)
    return reader(path)


@keep_open(2)  # such recordings are in memory
def _open_whole(path: Path, rate: float) -> Source:
    return MneSource(path)
