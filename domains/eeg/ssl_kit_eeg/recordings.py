"""EEG recordings of many formats, cut into windows."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import mne
import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from ssl_kit import DataError, Index, UsageError
from ssl_kit.data import FileDataset, index_files

from .electrodes import canonical
from .notes import borrowed, good_starts, label_of
from .signals import Reals, averaged, bandpass, dead, resampled, unlike
from .sources import BINARY, TEXT, Source, open_source
from .windows import WindowConfig, Windows

_log = logging.getLogger("ssl_kit")
_MARGIN = 2.0  # seconds read on both sides of a window, for the filter
_COMMON = 0.9  # share of the recordings that have a channel which is used


def _rising(band: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= band[0] < band[1]:
        raise ValueError("it is [low, high] in Hz")
    return band


class RecordingConfig(WindowConfig):
    """Options of the reader of recordings."""

    window: Annotated[float, Field(gt=0, description="length of a window in seconds")] = 5.0
    stride: Annotated[
        float, Field(ge=0, description="seconds from window to window (0: the length of a window)")
    ] = 0.0
    rate: Annotated[float, Field(ge=0, description="sampling rate in Hz of text and CSV files")] = (
        0.0
    )
    resample: Annotated[float, Field(gt=0, description="sampling rate of windows in Hz")] = 128.0
    band: Annotated[
        tuple[float, float],
        AfterValidator(_rising),
        Field(description="lowest and highest frequency in Hz of the band-pass filter; a lowest "
              "frequency of 0 keeps drifts"),
    ] = (0.5, 45.0)  # fmt: skip
    reference: Annotated[
        Literal["none", "average"],
        Field(description="reference of the channels; average subtracts the mean of all good ones"),
    ] = "none"
    channels: Annotated[
        tuple[str, ...],
        Field(description="names of the channels (default: EEG channels that recordings share)"),
    ] = ()
    bad_channels: Annotated[
        Literal["zero", "keep"],
        Field(description="treatment of channels that are flat, far too large or declared bad"),
    ] = "zero"
    annotations: Annotated[
        bool,
        Field(
            description="labels from annotations: a window has that of one that covers half of it"
        ),
    ] = False
    group: Annotated[
        Literal["recording", "folder"],
        Field(description="group of a recording without one in labels.csv or in a BIDS name: the "
              "file, or the first folder, which then is a subject and no label"),
    ] = "recording"  # fmt: skip


@dataclass(frozen=True)
class _Cut:
    """Windows of one file: starts in seconds, and labels if annotations give them."""

    starts: NDArray[np.float64]
    labels: list[str]


_FAULTY = _Cut(np.zeros(1), [""])  # one window, which cannot be read


class Recordings(Windows, FileDataset):
    """EDF, BDF, GDF, FIF, BrainVision, EEGLAB, and text with one sample a line.

    A window is read when it is needed, with two seconds around it, filtered and resampled.
    """

    Config = RecordingConfig
    options: RecordingConfig
    suffixes = (*BINARY, *TEXT)
    rivals = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".npy", ".dcm", ".nii")
    kind = "recordings"

    def prepare(self) -> None:
        """Reads the header of each recording and decides on its windows."""
        super().prepare()
        cuts = self._look()
        known = self._choose()
        self.refuse_if_all_fail(cuts.keys() - self.faults.keys())
        cuts |= dict.fromkeys(self.faults, _FAULTY)
        self._lay_out(dict(sorted(cuts.items())))
        self._show(self._names, self.options.resample, known)

    def find_files(self) -> Index:
        """Returns the index of the recordings; text beside binary recordings holds notes."""
        try:
            return index_files(self.path, BINARY, self.labels_table)
        except DataError:
            return index_files(self.path, TEXT, self.labels_table)

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
        return open_source(self.path_of(file), self.options.rate)

    def _look(self) -> dict[int, _Cut]:
        """Cuts every file that has a signal."""
        names = [self.files.key(file) for file in range(len(self.files))]
        recordings = [i for i, name in enumerate(names) if name.rpartition("/")[2] != "labels.csv"]
        channels = self.inspect(self._channels_of, recordings)
        self._has = {file: found for file, found in channels.items() if found}
        silent = {names[i]: self._source(i) for i, found in channels.items() if not found}
        if silent:
            _log.info("%d files hold annotations and no signal.", len(silent))
        cuts = self.inspect(lambda file: self._cut(file, silent), self._has)
        if not cuts:
            raise DataError(f"'{self.path}' holds annotations and no signal.")
        return cuts

    def _channels_of(self, file: int) -> tuple[str, ...]:
        """Returns the channels of a file, () if it holds annotations only."""
        source = self._source(file)
        return source.names + (source.others if self.options.channels or not source.names else ())

    def _cut(self, file: int, silent: dict[str, Source]) -> _Cut:
        options, source = self.options, self._source(file)
        stride = options.stride or options.window
        last = source.seconds - options.window + 0.5 / source.rate
        if last < 0:
            raise DataError(
                f"lasts {source.seconds:.3g} s, less than data.options.window {options.window:g}"
            )
        notes = [*source.notes, *borrowed(self.files.key(file), source, silent)]
        starts = np.arange(math.floor(last / stride) + 1, dtype=np.float64) * stride
        starts = good_starts(starts, options.window, notes)
        if not len(starts):
            raise DataError("is annotated as bad throughout")
        if not options.annotations:
            return _Cut(starts, [])
        return _Cut(starts, [label_of(start, options.window, notes) for start in starts.tolist()])

    def _choose(self) -> dict[str, NDArray[np.float64]]:
        """Decides on the channels; returns the places of electrodes that the first file gives.

        Raises:
            UsageError: If most recordings lack a channel that was asked for, or share none.
        """
        count = Counter(name for names in self._has.values() for name in names)
        if self.options.channels:
            self._names = tuple(canonical(self.options.channels))
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
                f"The recordings in '{self.path}' have {kinds} different sets of channels and no "
                "channel in common. Give --data one kind of them, or data.options.channels."
            )
        known: dict[str, NDArray[np.float64]] = {}
        for file, names in self._has.items():
            lacking = [name for name in self._names if name not in names]
            if lacking:
                self.faults[file] = f"has no channel {lacking[0]}"
            elif not known and self.options.image == "topography":
                known = self._source(file).places
        return known

    def _lay_out(self, cuts: dict[int, _Cut]) -> None:
        """Sets the index: the windows of good recordings, and one entry for each faulty one."""
        files = np.array(list(cuts))
        counts = [len(cut.starts) for cut in cuts.values()]
        self._file = np.repeat(files, counts).astype(np.int32)
        self._start = np.concatenate([cut.starts for cut in cuts.values()])
        groups = [self._group(file) for file in files.tolist()]
        self.index = self.files.expand(
            self._file,
            [
                f"{self.files.key(file)}#{start:.10g}"
                for file, start in zip(self._file.tolist(), self._start.tolist(), strict=True)
            ],
            np.column_stack([self._file, self._start]),
            labels=self._labels(cuts),
            groups=np.repeat(groups, counts).tolist(),
        )

    def _labels(self, cuts: dict[int, _Cut]) -> list[str]:
        """Returns the label of each window: of annotations where asked for, else of its file."""
        if self.options.annotations:
            return [label for cut in cuts.values() for label in cut.labels or [""]]
        if self.options.group == "folder" and not self.has_labels_table:
            return [""] * len(self._file)
        classes = (*self.files.classes, "")  # the last is -1
        return [classes[k] for k in self.files.labels[self._file].tolist()]

    def _group(self, file: int) -> str:
        """Returns the declared group, the subject of a BIDS name, the first folder, or the file."""
        key = self.files.key(file)
        subject = re.search(r"(?:^|[/_])(sub-[0-9A-Za-z]+)(?=[/_.])", key)
        in_folder = self.options.group == "folder" and "/" in key
        inferred = subject[1] if subject else key.partition("/")[0] if in_folder else ""
        return self.declared_group(file) or inferred or self.files.group(file)

    def signal(self, i: int) -> Reals:
        """Returns window i, (C, n), in microvolts.

        Raises:
            DataError: If its file is damaged or its length is another than that of its window.
        """
        file = int(self._file[i])
        self.refuse_faulty(file)
        options, source = self.options, self._source(file)
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
