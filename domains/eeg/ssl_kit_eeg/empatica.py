"""Sessions of Empatica E4 wristbands, on one clock, cut into windows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssl_kit import Config, DataError, Image, Index
from ssl_kit.data import (
    FileDataset,
    LocalPath,
    evenly_spaced,
    index_files,
    keep_open,
    parents_of,
    walk,
)

from .intervals import matched, read_intervals
from .notes import labels_of
from .pictures import Reals
from .recording_order import Recording, numbered
from .source_base import Note
from .wristband import CHANNELS, Session

_FILES = tuple(f"{signal.upper()}.csv" for signal in CHANNELS)
_LOOKED_AT = 1000  # files
_SAMPLED = 16  # windows that mean and deviation of a session are measured on
_DEVIATIONS = 6.0  # that fill the range of an image
Signal = Literal["acc", "bvp", "eda", "hr", "ibi", "temp"]


_STANDARDIZED = (
    "Values are standard deviations from the mean of each session, not units; --set "
    "data.options.scale=none keeps units."
)


class EmpaticaConfig(Config):
    """Options of the reader of wristbands."""

    signals: Annotated[
        tuple[Signal, ...], Field(min_length=1, description=f"signals, of {', '.join(CHANNELS)}")
    ] = ("acc", "eda", "temp", "hr")
    rate: Annotated[float, Field(gt=0, le=1000, description="sampling rate of windows in Hz")] = 4.0
    window: Annotated[float, Field(gt=0, description="length of a window in seconds")] = 60.0
    stride: Annotated[
        float, Field(ge=0, description="seconds from window to window (0: the length of a window)")
    ] = 0.0
    scale: Annotated[
        Literal["session", "none"],
        Field(
            description="scale of the values. session: mean 0 and standard deviation 1 in each "
            "session, because skin and pulse differ between persons; none: physical units"
        ),
    ] = "session"
    scale_until: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="share of a session, from its start, that mean and deviation are measured "
            "on; below 1 an image tells nothing of later ones",
        ),
    ] = 1.0
    intervals: Annotated[
        LocalPath,
        Field(
            description="CSV with columns subject, start, end (Unix seconds) and label; subjects "
            "are folders, in any case, with or without the word subject. A window has the label of "
            "the interval that covers at least half of it"
        ),
    ] = ""
    subject: Annotated[
        int, Field(ge=1, description="number of levels from a file up to the folder of the subject")
    ] = 1


class Empatica(FileDataset):
    """Folders with ACC.csv, EDA.csv, TEMP.csv, HR.csv, BVP.csv or IBI.csv; a folder is a session.

    Windows are images of height 1. The group is the subject; positions are the number of the
    session and the time in it, in seconds.
    """

    Config = EmpaticaConfig
    options: EmpaticaConfig
    kind = "sessions"

    def prepare(self) -> None:
        """Reads start, rate and length of all files."""
        super().prepare()
        options = self.options
        self.channels = tuple(name for signal in options.signals for name in CHANNELS[signal])
        self._tasks, unmatched = self._find_intervals()
        self._moments: dict[int, NDArray[np.float32]] = {}
        starts = self.inspect(self._starts)
        in_order = self._lay_out(
            [starts.get(number, np.zeros(1)) for number in range(len(self.files))]
        )
        if self._value_range is None and options.scale == "session":
            self._value_range = np.tile([-_DEVIATIONS, _DEVIATIONS], (len(self.channels), 1))
        remarks = (*unmatched, *in_order, *[_STANDARDIZED] * (options.scale == "session"))
        self.index = replace(self.index, remarks=(*self.index.remarks, *remarks))

    def _find_intervals(self) -> tuple[dict[str, list[Note]], list[str]]:
        """Returns the intervals of each subject of the data, and a remark on unmatched subjects."""
        if not self.options.intervals:
            return {}, []
        table = read_intervals(Path(self.options.intervals))
        subjects = {self._subject(number) for number in range(len(self.files))}
        names = matched(subjects, table)
        left, without = len(table) - len(set(names.values())), len(subjects) - len(names)
        remark = (
            f"{left} of {len(table)} subjects of data.options.intervals are not in the data, and "
            f"{without} of {len(subjects)} subjects of the data have no intervals. A subject is "
            'the name of a folder, compared regardless of case and of the word "subject".'
        )
        tasks = {subject: table[name] for subject, name in names.items()}
        return tasks, [remark] if left or without else []

    def options_for(self, channels: Sequence[str]) -> Mapping[str, Any]:
        """Returns `signals` if all channels of some signals are asked for."""
        signals = [name for name, own in CHANNELS.items() if set(own) <= set(channels)]
        signals.sort(key=lambda name: channels.index(CHANNELS[name][0]))
        names = [channel for name in signals for channel in CHANNELS[name]]
        return {"signals": signals} if names == list(channels) else {}

    def find_files(self) -> Index:
        """Returns the index of the sessions, by the file of the first signal."""
        first, *others = (f"{name}.csv" for name in self.options.signals)
        option = "data.options.intervals" if self.options.intervals else ""
        return index_files(self.path, (first,), self.labels, others, option)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether it is a folder with two such files in one place."""
        keys = islice(walk(path), _LOOKED_AT) if path.is_dir() else iter(())
        folders = Counter(Path(key).parent for key in keys if Path(key).name in _FILES)
        return max(folders.values(), default=0) > 1

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

    def name_of(self, number: int) -> str:
        """Returns the folder of a session, relative to the data, "." for the data themselves."""
        return self.files.key(number).rpartition("/")[0] or "."

    def _session(self, number: int) -> Session:
        return _open(self.path / self.name_of(number), self.options.signals)

    def _subject(self, number: int) -> str:
        parts = (self.path / self.name_of(number)).resolve().parts
        return parts[-min(self.options.subject, len(parts))]

    def _starts(self, number: int) -> NDArray[np.float64]:
        """Returns when the windows of a session start, in seconds from its start."""
        options, session = self.options, self._session(number)
        last = session.stop - session.start - options.window
        if last < 0:
            raise DataError(
                f"has {max(0, last + options.window):.3g} s of all signals, less than "
                f"data.options.window {options.window:g}"
            )
        stride = options.stride or options.window
        return np.arange(math.floor(last / stride) + 1, dtype=np.float64) * stride

    def _lay_out(self, starts: list[NDArray[np.float64]]) -> list[str]:
        """Sets the index; returns remarks on the order of the sessions."""
        self._number = parents_of(starts).astype(np.int32)
        self._start = np.concatenate(starts)
        numbers = self._number.tolist()
        groups = [self.declared_group(n) or self._subject(n) for n in range(len(starts))]
        recordings, remarks = numbered(
            [self._recording(n, group) for n, group in enumerate(groups)], len(starts)
        )
        pairs = zip(numbers, self._start.tolist(), strict=True)
        self.index = self.files.expand(
            self._number,
            [f"{self.name_of(number)}#{start:.10g}" for number, start in pairs],
            np.column_stack([np.array(recordings)[self._number], self._start]),
            labels=[label for n, each in enumerate(starts) for label in self._labels(n, each)],
            groups=[groups[n] for n in numbers],
            origins={"group": "names of folders (subjects)", **self.files.origins},
        )
        return remarks

    def _recording(self, number: int, group: str) -> Recording:
        name = self.name_of(number)
        if number in self.faults:
            return Recording(number, 0, name, group, None, 0.0)
        session = self._session(number)
        return Recording(number, 0, name, group, session.start, session.stop - session.start)

    def _labels(self, number: int, starts: NDArray[np.float64]) -> list[str]:
        """Returns the labels of a session's windows: of intervals, or of its row in labels.csv."""
        if number in self.faults or not self.options.intervals:
            return [self.files.label(number) if self.declares_labels else ""] * len(starts)
        begin = self._session(number).start
        notes = [
            Note(note.start - begin, note.stop - begin, note.text)
            for note in self._tasks.get(self._subject(number), [])
        ]
        return labels_of(starts, self.options.window, notes)

    def read(self, i: int) -> Image:
        """Returns window i, (1, T, C) float32.

        Raises:
            DataError: If a file of its session is missing or damaged.
        """
        number = int(self._number[i])
        self.refuse_faulty(number)
        x = self._window(number, float(self._start[i]))
        if self.options.scale == "session":
            mean, spread = self._moments_of(number)
            x = (x - mean[:, None]) / spread[:, None]
        return np.ascontiguousarray(x.T[None])

    def _window(self, number: int, start: float) -> Reals:
        session, options = self._session(number), self.options
        steps = np.arange(round(options.window * options.rate)) / options.rate
        return session.at(session.start + start + steps)

    def _moments_of(self, number: int) -> NDArray[np.float32]:
        """Returns mean and deviation of each channel of a session, (2, C), measured once."""
        if number not in self._moments:
            starts = self._start[self._number == number]
            starts = starts[: max(1, round(self.options.scale_until * len(starts)))]
            chosen = starts[evenly_spaced(len(starts), _SAMPLED)]
            values = np.concatenate([self._window(number, start) for start in chosen], axis=1)
            spread = np.maximum(values.std(axis=1), 1e-3)
            self._moments[number] = np.stack([values.mean(axis=1), spread]).astype(np.float32)
        return self._moments[number]


@keep_open(64)
def _open(folder: Path, signals: tuple[str, ...]) -> Session:
    return Session(folder, signals)
