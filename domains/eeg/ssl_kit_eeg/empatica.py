"""Sessions of Empatica E4 wristbands, on one clock, cut into windows."""

from __future__ import annotations

import csv
import math
import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from ssl_kit import Config, DataError, Dataset, Image, Index, UsageError
from ssl_kit.data import index_files

from .notes import label_of
from .pictures import Reals
from .sources import Note
from .wristband import CHANNELS, Session

_FILES = tuple(f"{signal.upper()}.csv" for signal in CHANNELS)
_LOOKED_AT = 1000  # files
_SAMPLED = 16  # windows that mean and deviation of a session are measured on
_DEVIATIONS = 6.0  # that fill the range of an image
_COLUMNS = ("subject", "start", "end", "label")
Signal = Literal["acc", "bvp", "eda", "hr", "ibi", "temp"]


class EmpaticaConfig(Config):
    """Options of the reader of wristbands."""

    signals: Annotated[
        tuple[Signal, ...], Field(min_length=1, description=f"of {', '.join(CHANNELS)}")
    ] = ("acc", "eda", "temp", "hr")
    rate: Annotated[float, Field(gt=0, le=1000, description="Hz that all are brought to")] = 4.0
    window: Annotated[float, Field(gt=0, description="seconds")] = 60.0
    stride: Annotated[
        float, Field(ge=0, description="seconds from window to window; 0 is a window")
    ] = 0.0
    scale: Annotated[
        Literal["session", "none"],
        Field(description="session: mean 0 and deviation 1 in each session, since skin and "
              "resting pulse differ from person to person; none: physical units"),
    ] = "session"  # fmt: skip
    intervals: Annotated[
        str,
        Field(description="CSV with columns subject, start, end (Unix seconds) and label; a window "
              "has the label of the interval that covers half of it or more"),
    ] = ""  # fmt: skip
    subject: Annotated[
        int, Field(ge=1, description="which folder is the subject: 1 holds the files, 2 is above")
    ] = 1


class Empatica(Dataset):
    """Folders with ACC.csv, EDA.csv, TEMP.csv, HR.csv, BVP.csv or IBI.csv; a folder is a session.

    Windows are images of height 1. The group is the subject; positions are the number of the
    session and the time in it, in seconds.
    """

    Config = EmpaticaConfig

    def __init__(
        self,
        path: Path,
        options: EmpaticaConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> None:
        super().__init__(value_range)
        self._root, self._options = path, options
        self.channels = tuple(name for signal in options.signals for name in CHANNELS[signal])
        self._files = index_files(path, (f"{options.signals[0]}.csv",), labels)
        self._declared = bool(labels) or (path / "labels.csv").is_file()
        self._tasks = read_intervals(Path(options.intervals)) if options.intervals else {}
        self._broken: dict[int, str] = {}
        self._usual: dict[int, NDArray[np.float32]] = {}
        self._lay_out([self._starts(number) for number in range(len(self._files))])
        if value_range is None and options.scale == "session":
            self._value_range = np.tile([-_DEVIATIONS, _DEVIATIONS], (len(self.channels), 1))

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether it is a folder with two such files in one place."""
        seen = set()
        for count, file in enumerate(path.rglob("*.csv") if path.is_dir() else ()):
            if file.name in _FILES:
                if file.parent in seen:
                    return True
                seen.add(file.parent)
            if count >= _LOOKED_AT:
                break
        return False

    @classmethod
    def open(
        cls,
        path: Path,
        options: EmpaticaConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> Empatica:
        """Reads start, rate and length of all files."""
        return cls(path, options, labels, value_range)

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes two subjects of three minutes."""
        rng = np.random.default_rng(0)
        for name, level in (("S1", 1.0), ("S2", 4.0)):
            (folder / name).mkdir()
            for file, rate, columns in (
                ("ACC", 32, 3),
                ("EDA", 4, 1),
                ("TEMP", 4, 1),
                ("HR", 1, 1),
            ):
                head = [[1.6e9] * columns, [rate] * columns]
                body = level + rng.random((180 * rate, columns))
                rows = [",".join(f"{v:.3f}" for v in row) for row in (*head, *body)]
                (folder / name / f"{file}.csv").write_text("\n".join(rows))
        return folder

    def _key(self, number: int) -> str:
        """Returns the folder of a session, relative to the data, "." for the data themselves."""
        return self._files.key(number).rpartition("/")[0] or "."

    def _session(self, number: int) -> Session:
        folder = self._root / self._key(number)
        return _opened(folder, self._options.signals, os.getpid())

    def _subject(self, number: int) -> str:
        parts = (self._root / self._key(number)).resolve().parts
        return parts[-min(self._options.subject, len(parts))]

    def _starts(self, number: int) -> NDArray[np.float64]:
        """Returns when the windows of a session start, in seconds from its start."""
        options = self._options
        try:
            session = self._session(number)
            last = session.stop - session.start - options.window
            if last < 0:
                raise DataError(
                    f"has {max(0, last + options.window):.3g} s of all signals, less than "
                    f"data.options.window {options.window:g}"
                )
        except DataError as error:
            self._broken[number] = str(error)
            return np.zeros(1)
        stride = options.stride or options.window
        return np.arange(math.floor(last / stride) + 1, dtype=np.float64) * stride

    def _lay_out(self, starts: list[NDArray[np.float64]]) -> None:
        """Sets the index."""
        sessions = range(len(starts))
        if len(self._broken) == len(starts):
            raise DataError(
                f"None of the {len(starts)} sessions in '{self._root}' can be used; "
                f"'{self._key(0)}' {self._broken[0]}."
            )
        counts = [len(each) for each in starts]
        self._number = np.repeat(list(sessions), counts).astype(np.int32)
        self._start = np.concatenate(starts)
        splits = self._files.splits[self._number]
        self.index = Index.build(
            [f"{self._key(n)}#{start:.10g}" for n in sessions for start in starts[n].tolist()],
            labels=[label for n in sessions for label in self._labels(n, starts[n])],
            groups=[self._subject(n) for n in self._number.tolist()],
            splits=[("", "train", "val", "test")[k] for k in splits.tolist()],
            positions=np.column_stack([self._number, self._start]),
        )

    def _labels(self, number: int, starts: NDArray[np.float64]) -> list[str]:
        """Returns the labels of a session's windows: of intervals, or of its row in labels.csv."""
        if number in self._broken or not self._options.intervals:
            code = self._files.labels[number] if self._declared else -1
            return [self._files.classes[code] if code >= 0 else ""] * len(starts)
        begin = self._session(number).start
        notes = [
            Note(note.start - begin, note.stop - begin, note.text)
            for note in self._tasks.get(self._subject(number), [])
        ]
        return [label_of(start, self._options.window, notes) for start in starts.tolist()]

    def read(self, i: int) -> Image:
        """Returns window i, (1, T, C) float32.

        Raises:
            DataError: If a file of its session is missing or damaged.
        """
        number = int(self._number[i])
        if number in self._broken:
            raise DataError(self._broken[number])
        x = self._window(number, float(self._start[i]))
        if self._options.scale == "session":
            mean, spread = self._usual_of(number)
            x = (x - mean[:, None]) / spread[:, None]
        return np.ascontiguousarray(x.T[None])

    def _window(self, number: int, start: float) -> Reals:
        session, options = self._session(number), self._options
        steps = np.arange(round(options.window * options.rate)) / options.rate
        return session.at(session.start + start + steps)

    def _usual_of(self, number: int) -> NDArray[np.float32]:
        """Returns mean and deviation of each channel of a session, (2, C), measured once."""
        if number not in self._usual:
            starts = self._start[self._number == number]
            chosen = np.unique(np.linspace(0, len(starts) - 1, _SAMPLED).astype(int))
            seen = np.concatenate([self._window(number, s) for s in starts[chosen]], axis=1)
            spread = np.maximum(seen.std(axis=1), 1e-3)
            self._usual[number] = np.stack([seen.mean(axis=1), spread]).astype(np.float32)
        return self._usual[number]


@lru_cache(maxsize=64)
def _opened(folder: Path, signals: tuple[str, ...], process: int) -> Session:
    return Session(folder, signals)


def read_intervals(table: Path) -> dict[str, list[Note]]:
    """Reads a CSV of subject, start, end, label; the times are Unix seconds.

    Raises:
        UsageError: If it is no such table.
    """
    found: dict[str, list[Note]] = {}
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                subject, start, end, label = (row[name].strip() for name in _COLUMNS)
                found.setdefault(subject, []).append(Note(float(start), float(end), label))
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, KeyError, AttributeError):
        raise UsageError(
            f"data.options.intervals '{table}' is no CSV with the columns {', '.join(_COLUMNS)}, "
            "times in Unix seconds."
        ) from None
    return found
