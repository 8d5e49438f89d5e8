"""EEG recordings of many formats, cut into windows."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import mne
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator, Field

from ssl_kit import DataError, Index, UsageError
from ssl_kit.data import file_path, index_files

from .electrodes import canonical
from .notes import borrowed, good_starts, label_of
from .signals import Reals, averaged, bandpass, dead, resampled, unlike
from .sources import BINARY, TEXT, Source, open_source
from .windows import WindowConfig, Windows

_log = logging.getLogger("ssl_kit")
SUFFIXES = (*BINARY, *TEXT)
_LOOKED_AT = 1000  # files
_MARGIN = 2.0  # seconds read on both sides of a window, for the filter
_COMMON = 0.9  # share of the recordings that have a channel which is used
_PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".npy", ".dcm", ".nii")
_TABLES = ("labels.csv",)


def _rising(band: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= band[0] < band[1]:
        raise ValueError("it is [low, high] in Hz")
    return band


class RecordingConfig(WindowConfig):
    """Options of the reader of recordings."""

    window: Annotated[float, Field(gt=0, description="seconds")] = 5.0
    stride: Annotated[
        float, Field(ge=0, description="seconds from window to window; 0 is a window")
    ] = 0.0
    rate: Annotated[
        float, Field(ge=0, description="Hz of text and CSV files, which do not say it")
    ] = 0.0
    resample: Annotated[float, Field(gt=0, description="Hz of what is returned")] = 128.0
    band: Annotated[
        tuple[float, float],
        AfterValidator(_rising),
        Field(description="lowest and highest frequency that are kept, in Hz; a low of 0 keeps "
              "drifts"),
    ] = (0.5, 45.0)  # fmt: skip
    reference: Annotated[
        Literal["none", "average"],
        Field(description="average: the mean of all good channels is subtracted"),
    ] = "none"
    channels: Annotated[
        tuple[str, ...],
        Field(description="names; empty takes the EEG channels that the recordings share"),
    ] = ()
    bad_channels: Annotated[
        Literal["zero", "keep"],
        Field(description="flat, far too large and declared bad ones become zero, or stay"),
    ] = "zero"
    annotations: Annotated[
        bool, Field(description="label a window by the annotation that covers half of it or more")
    ] = False
    group: Annotated[
        Literal["recording", "folder"],
        Field(description="what is never split where neither labels.csv nor a BIDS name says it: "
              "the file, or the first folder, which then is a subject and no label"),
    ] = "recording"  # fmt: skip


@dataclass
class _Cut:
    """Windows of one file, or why it has none."""

    starts: NDArray[np.float64]
    labels: list[str]
    problem: str = ""


class Recordings(Windows):
    """EDF, BDF, GDF, FIF, BrainVision, EEGLAB, and text with one sample a line.

    A window is read when it is needed, with two seconds around it, filtered and resampled.
    """

    Config = RecordingConfig

    def __init__(
        self,
        path: Path,
        options: RecordingConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> None:
        super().__init__(options.image, value_range)
        self._root, self._options = path, options
        self._declared = bool(labels) or (path / "labels.csv").is_file()
        self._files = _index(path, labels)
        cuts = self._look()
        known = self._choose(cuts)
        self._broken = {file: cut.problem for file, cut in cuts.items() if cut.problem}
        if len(self._broken) == len(cuts):
            file = next(iter(self._broken))
            raise DataError(
                f"None of the {len(cuts)} recordings in '{path}' can be used; "
                f"'{self._files.key(file)}' {self._broken[file]}."
            )
        self._lay_out(cuts)
        self._show(self._names, options.resample, known)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether it is such a file, or a folder with more of them than pictures."""
        if not path.is_dir():
            return path.suffix.lower() in SUFFIXES
        seen: Counter[str] = Counter()
        for count, file in enumerate(path.rglob("*.*")):
            if file.name not in _TABLES:
                seen[file.suffix.lower()] += 1
            if count >= _LOOKED_AT:
                break
        ours = sum(seen[suffix] for suffix in SUFFIXES)
        return ours > sum(seen[suffix] for suffix in _PICTURES)

    @classmethod
    def open(
        cls,
        path: Path,
        options: RecordingConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> Recordings:
        """Reads the header of each recording and decides on its windows."""
        return cls(path, options, labels, value_range)

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes two recordings of noise, 20 seconds of two electrodes, as FIF."""
        rng = np.random.default_rng(0)
        for number in range(2):
            info = mne.create_info(["Cz", "Pz"], 128.0, "eeg")
            noise = rng.normal(0, 2e-5, (2, 20 * 128))
            raw = mne.io.RawArray(noise, info, verbose="ERROR")
            raw.save(folder / f"{number}_raw.fif", verbose="ERROR")
        return folder

    def _source(self, file: int) -> Source:
        return open_source(file_path(self._root, self._files.key(file)), self._options.rate)

    def _look(self) -> dict[int, _Cut]:
        """Cuts every file that has a signal."""
        self._has: dict[int, tuple[str, ...]] = {}
        cuts, silent = dict[int, _Cut](), dict[str, Source]()
        for file in range(len(self._files)):
            if self._files.key(file).rpartition("/")[2] not in _TABLES:
                cuts |= self._try(file, lambda file: self._open(file, silent))
        if silent:
            _log.info("%d files hold annotations and no signal.", len(silent))
        for file in self._has:
            cuts |= self._try(file, lambda file: {file: self._cut(file, silent)})
        if not cuts:
            raise DataError(f"'{self._root}' holds annotations and no signal.")
        return dict(sorted(cuts.items()))

    @staticmethod
    def _try(file: int, look: Callable[[int], dict[int, _Cut]]) -> dict[int, _Cut]:
        """Returns what looking at a file gives, or why it cannot be used."""
        try:
            return look(file)
        except DataError as error:
            return {file: _Cut(np.zeros(1), [""], str(error))}

    def _open(self, file: int, silent: dict[str, Source]) -> dict[int, _Cut]:
        """Notes the channels of a file, or that it has none."""
        source = self._source(file)
        if source.names or source.others:
            self._has[file] = source.names + (source.others if self._options.channels else ())
        else:
            silent[self._files.key(file)] = source
        return {}

    def _cut(self, file: int, silent: dict[str, Source]) -> _Cut:
        options, source = self._options, self._source(file)
        stride = options.stride or options.window
        last = source.seconds - options.window + 0.5 / source.rate
        if last < 0:
            raise DataError(
                f"lasts {source.seconds:.3g} s, less than data.options.window {options.window:g}"
            )
        notes = [*source.notes, *borrowed(self._files.key(file), source, silent)]
        starts = np.arange(math.floor(last / stride) + 1, dtype=np.float64) * stride
        starts = good_starts(starts, options.window, notes)
        if not len(starts):
            raise DataError("is annotated as bad throughout")
        if not options.annotations:
            return _Cut(starts, [])
        return _Cut(starts, [label_of(start, options.window, notes) for start in starts.tolist()])

    def _choose(self, cuts: dict[int, _Cut]) -> dict[str, NDArray[np.float64]]:
        """Decides on the channels; returns where the file of the first says that they are.

        Raises:
            UsageError: If most recordings lack a channel that was asked for, or share none.
        """
        count = Counter(name for names in self._has.values() for name in names)
        if self._options.channels:
            self._names = tuple(canonical(self._options.channels))
            missing = [name for name in self._names if name not in count]
            if missing:
                raise UsageError(
                    f"No recording has the channel '{missing[0]}'; there are "
                    f"{', '.join(sorted(count)[:20])}."
                )
        else:
            self._names = tuple(n for n in count if count[n] >= _COMMON * len(self._has))
        if self._has and not self._names:
            kinds = len(set(self._has.values()))
            raise DataError(
                f"The recordings in '{self._root}' have {kinds} different sets of channels and no "
                "channel in common. Give --data one kind of them, or data.options.channels."
            )
        known: dict[str, NDArray[np.float64]] = {}
        for file, names in self._has.items():
            lacking = [name for name in self._names if name not in names]
            if lacking:
                cuts[file] = _Cut(np.zeros(1), [""], f"has no channel {lacking[0]}")
            elif not known and self._options.image == "topography":
                known = self._source(file).places
        return known

    def _lay_out(self, cuts: dict[int, _Cut]) -> None:
        """Sets the index: the windows of good recordings, and one entry for each broken one."""
        files = np.array(list(cuts))
        counts = [len(cut.starts) for cut in cuts.values()]
        self._file = np.repeat(files, counts).astype(np.int32)
        self._start = np.concatenate([cut.starts for cut in cuts.values()])
        names = [self._files.key(file) for file in files.tolist()]
        groups = [self._group(file) for file in files.tolist()]
        labels = self._labels(cuts)
        self.index = Index.build(
            [
                f"{name}#{start:.10g}"
                for name, cut in zip(names, cuts.values(), strict=True)
                for start in cut.starts.tolist()
            ],
            labels=labels,
            groups=np.repeat(groups, counts).tolist(),
            splits=[("", "train", "val", "test")[k] for k in self._files.splits[self._file]],
            positions=np.column_stack([self._file, self._start]),
        )

    def _labels(self, cuts: dict[int, _Cut]) -> list[str]:
        """Returns the label of each window: of annotations where asked for, else of its file."""
        if self._options.annotations:
            return [label for cut in cuts.values() for label in cut.labels or [""]]
        if self._options.group == "folder" and not self._declared:
            return [""] * len(self._file)
        classes = (*self._files.classes, "")  # the last is -1
        return [classes[k] for k in self._files.labels[self._file].tolist()]

    def _group(self, file: int) -> str:
        """Returns the declared group, the subject of a BIDS name, the first folder, or the file."""
        files, key = self._files, self._files.key(file)
        given = str(files.group_names[files.groups[file]].decode(errors="surrogateescape"))
        if not given.startswith(f"{key}:"):  # else it is name and size: none was declared
            return given
        subject = re.search(r"(?:^|[/_])(sub-[0-9A-Za-z]+)(?=[/_.])", key)
        if subject:
            return subject.group(1)
        in_folder = self._options.group == "folder" and "/" in key
        return key.partition("/")[0] if in_folder else given

    def signal(self, i: int) -> Reals:
        """Returns window i, (C, n), in microvolts.

        Raises:
            DataError: If its file is damaged or its length is another than that of its window.
        """
        file = int(self._file[i])
        if file in self._broken:
            raise DataError(self._broken[file])
        options, source = self._options, self._source(file)
        start = float(self._start[i]) * source.rate
        margin = _MARGIN * source.rate
        first = max(0, round(start - margin))
        stop = min(source.samples, round(start + options.window * source.rate + margin))
        x = source.read(first, stop, self._names)
        bad = dead(x) | np.isin(self._names, list(source.bad))
        x = np.where(dead(x)[:, None], 0, x - x.mean(axis=1, keepdims=True))
        x = resampled(bandpass(x, source.rate, *options.band), source.rate, options.resample)
        bad |= unlike(x, bad)
        begin = round((start - first) / source.rate * options.resample)
        count = round(options.window * options.resample)
        x = x[:, begin : begin + count]
        x = np.pad(x, ((0, 0), (0, count - x.shape[1])), mode="edge")  # a sample, by rounding
        if options.reference == "average":
            x = averaged(x, bad)
        if options.bad_channels == "zero":
            x[bad] = 0
        return x


def _index(path: Path, labels: Path | None) -> Index:
    """Indexes recordings; text files only where there are no others: beside them they are notes."""
    try:
        return index_files(path, BINARY, labels)
    except DataError:
        return index_files(path, TEXT, labels)
