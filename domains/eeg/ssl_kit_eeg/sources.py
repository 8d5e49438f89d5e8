"""Reads headers and intervals of recordings."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mne
import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError, UsageError
from ssl_kit.data import keep_open

from .electrodes import canonical
from .lines import Lines, is_number

Reals = NDArray[np.float32]
TEXT = (".txt", ".csv", ".tsv")
BINARY = (".edf", ".bdf", ".gdf", ".fif", ".vhdr", ".set")
_EEG = ("eeg", "seeg", "ecog", "dbs")
_VOLTS = (*_EEG, "eog", "emg", "ecg", "bio", "misc")
_NO_SIGNAL = ("time", "times", "timestamp", "timestamps", "index", "sample", "seconds", "")
_LARGEST_INSIDE = 2**28  # bytes of a .set that holds its data and so is read whole


@dataclass(frozen=True)
class Note:
    """An annotation of a part of a recording; times in seconds from the recording's start."""

    start: float
    stop: float
    text: str


class Source(ABC):
    """An open recording.

    Attributes:
        rate: Sampling rate in Hz.
        samples: Number of samples of each channel.
        names: Names of the EEG channels.
        others: Names of further channels.
        bad: Names of the channels that the file declares bad.
        notes: Annotations.
        began: Start of the recording, Unix time in seconds; None if the file does not tell it.
    """

    rate: float
    samples: int
    names: tuple[str, ...]
    others: tuple[str, ...] = ()
    bad: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = ()
    began: float | None = None

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples / self.rate

    @property
    def places(self) -> dict[str, NDArray[np.float64]]:
        """Positions of electrodes, (3,) in meters, as far as the file gives them."""
        return {}

    @abstractmethod
    def read(self, start: int, stop: int, names: Sequence[str]) -> Reals:
        """Returns samples start to stop of channels, (C, n), in microvolts.

        Raises:
            DataError: If the samples are damaged.
        """


class TextSource(Source):
    """Text in microvolts: lines are samples, columns are channels, with or without a header."""

    def __init__(self, path: Path, rate: float) -> None:
        if not rate:
            raise UsageError(
                "Text files do not say how many samples there are in a second. Give "
                "--set data.options.rate=HZ (173.61 for the Bonn EEG)."
            )
        self._lines, self.rate = Lines(path, head=1), rate
        fields = self._lines.head[0]
        named = not all(is_number(field) for field in fields)
        self._lines.skip = int(named)
        self.samples = self._lines.count
        if not self.samples:
            raise DataError("holds no numbers")
        if not named:
            fields = ["eeg"] if len(fields) == 1 else [f"eeg{c + 1}" for c in range(len(fields))]
        self._columns = {
            name: column
            for column, name in enumerate(canonical(fields))
            if name.lower() not in _NO_SIGNAL
        }
        self.names = tuple(self._columns)
        width = self._lines.read(0, 1).shape[1]
        if width != len(fields):
            raise DataError(f"has {len(fields)} names for {width} columns")

    def read(self, start: int, stop: int, names: Sequence[str]) -> Reals:
        """Reads lines."""
        table = self._lines.read(start, stop)
        columns = [self._columns[name] for name in names]
        if len(table) != stop - start or table.shape[1] <= max(columns):
            raise DataError("has been cut off or changed since it was opened")
        return np.ascontiguousarray(table[:, columns].T, dtype=np.float32)


class MneSource(Source):
    """A recording in any format of MNE, whose samples are read when they are needed.

    The texts of MNE's errors are not passed on, because they may quote a patient's name.
    """

    def __init__(self, path: Path) -> None:
        if _holds_its_data(path) and path.stat().st_size > _LARGEST_INSIDE:
            raise DataError("holds its data inside of the .set; save them as a .fdt beside it")
        if path.suffix.lower() in (".edf", ".bdf"):
            check_edf(path)
        with _guarded("cannot be opened as the format of its ending"):
            self._raw: Any = mne.io.read_raw(path, preload=False, verbose="ERROR")
            raw = self._raw
            self.rate, self.samples = float(raw.info["sfreq"]), int(raw.n_times)
            kinds = raw.get_channel_types() if raw.ch_names else []
        self._check(path)
        names = canonical(raw.ch_names)
        self._rows = dict(zip(names, range(len(names)), strict=True))
        self._factor = {
            name: 1e6 if kind in _VOLTS else 1.0 for name, kind in zip(names, kinds, strict=True)
        }
        typed = list(zip(names, kinds, strict=True))
        self.names = tuple(name for name, kind in typed if kind in _EEG)
        self.others = tuple(name for name, kind in typed if kind not in (*_EEG, "stim"))
        self.bad = frozenset(names[raw.ch_names.index(name)] for name in raw.info["bads"])
        date = raw.info["meas_date"]
        self.began = None if date is None else date.timestamp()
        with _guarded("has damaged annotations"):
            notes = raw.annotations if raw.ch_names else mne.read_annotations(path)
        first = raw.first_time if raw.ch_names and notes.orig_time is not None else 0.0
        self.notes = tuple(
            Note(onset - first, onset - first + length, str(text).strip())
            for onset, length, text in zip(
                notes.onset, notes.duration, notes.description, strict=True
            )
        )

    def _check(self, path: Path) -> None:
        """Refuses a header that declares more samples than there are bytes."""
        data = {path, path.with_suffix(".fdt"), path.with_suffix(".eeg")}
        data |= {Path(name) for name in self._raw.filenames if name}
        size = sum(file.stat().st_size for file in data if file.is_file())
        if self.samples > size and path.suffix.lower() != ".set":
            raise DataError(f"declares {self.samples} samples but is only {size} bytes long")
        if not np.isfinite(self.rate) or self.rate <= 0:
            raise DataError("declares no sampling rate")

    @property
    def places(self) -> dict[str, NDArray[np.float64]]:
        """Positions of electrodes that the file gives."""
        montage = self._raw.get_montage()
        if montage is None:
            return {}
        known = montage.get_positions()["ch_pos"]
        return dict(zip(canonical(list(known)), known.values(), strict=True))

    def read(self, start: int, stop: int, names: Sequence[str]) -> Reals:
        """Reads an interval."""
        rows = [self._rows[name] for name in names]
        with _guarded("is damaged or cut off"):
            values = self._raw.get_data(picks=rows, start=start, stop=stop, verbose="ERROR")
        if values.shape != (len(names), stop - start):
            raise DataError("is damaged or cut off")
        factors = np.array([self._factor[name] for name in names])
        return np.asarray(values * factors[:, None], dtype=np.float32)


@contextmanager
def _guarded(problem: str) -> Iterator[None]:
    """Turns any error of MNE into a DataError that names only the kind of the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except FileNotFoundError as error:
        missing = Path(error.filename or str(error)).name
        raise DataError(f"needs '{missing}', which is not there") from None
    except Exception as error:  # noqa: BLE001  a damaged header can raise anything
        raise DataError(f"{problem} ({type(error).__name__})") from None


def check_edf(path: Path) -> None:
    """Compares the header of an EDF or BDF file with the size of the file.

    https://www.edfplus.info/specs/edf.html

    Raises:
        DataError: If the header is invalid, or samples are missing.
    """
    with path.open("rb") as file:
        head = file.read(256)
        try:
            length, records, signals = (
                int(head[a:b]) for a, b in ((184, 192), (236, 244), (252, 256))
            )
            file.seek(256 + 216 * signals)
            counts = [int(file.read(8)) for _ in range(max(0, signals))]
        except ValueError:
            raise DataError("its header is no EDF or BDF header") from None
    record = sum(counts) * (3 if path.suffix.lower() == ".bdf" else 2)
    if length != 256 * (signals + 1) or not record or min(counts) < 0 or records < -1:
        raise DataError("its header is no EDF or BDF header")
    size = path.stat().st_size
    if length + max(records, 1) * record > size:
        raise DataError(
            f"is cut off: its header declares {max(records, 1)} records of {record} bytes, "
            f"but it is only {size} bytes long"
        )


def open_source(path: Path, rate: float = 0) -> Source:
    """Opens a recording by its ending, or returns it if it is open in this process.

    Args:
        path: Path of the file.
        rate: Sampling rate of text files in Hz.

    Raises:
        DataError: If the file cannot be used.
        UsageError: If it is a text file and no rate is given.
    """
    return (_open_whole if _holds_its_data(path) else _open)(path, rate)


def _holds_its_data(path: Path) -> bool:
    """Tells whether a file is a .set without a .fdt, which MNE reads as a whole."""
    return path.suffix.lower() == ".set" and not path.with_suffix(".fdt").exists()


@keep_open(32)
def _open(path: Path, rate: float) -> Source:
    return TextSource(path, rate) if path.suffix.lower() in TEXT else MneSource(path)


@keep_open(2)  # such recordings are in memory
def _open_whole(path: Path, rate: float) -> Source:
    return MneSource(path)
