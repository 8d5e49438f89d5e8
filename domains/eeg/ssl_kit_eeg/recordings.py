"""EEG recordings of many formats, cut into windows."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import mne
import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError, Index
from ssl_kit.data import FileDataset, evenly_spaced, index_files, walk

from .montage import choose, usable
from .notes import borrowed, good_starts, label_of
from .recording_config import RecordingConfig as RecordingConfig
from .signals import Reals, averaged, bandpass, dead, is_fast, resampled, unlike
from .source_base import Source, Span
from .sources import BINARY, TEXT, open_source
from .windows import Windows

_log = logging.getLogger("ssl_kit")
_LOOKED_AT = 8  # windows that tell the amplitude
_SMALL, _BIG = 0.2, 500.0  # standard deviations between which microvolts are plausible
_MARGIN = 2.0  # seconds read on both sides of a window, for the filter
_DATA = (".eeg", ".dat", ".avg", ".seg", ".fdt")  # beside the headers that are read
_COMPANIONS = (*_DATA, ".vmrk", ".amrk")


@dataclass(frozen=True)
class _Cut:
    """Windows of one file: starts in seconds, and labels if annotations give them."""

    starts: NDArray[np.float64]
    labels: list[str]


_FAULTY = _Cut(np.zeros(1), [""])  # one window, which cannot be read


class Recordings(Windows, FileDataset):
    """EDF, BDF, GDF, FIF, BrainVision, EEGLAB, MATLAB, and text with one sample a line.

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
        self.index = replace(self.index, remarks=(*self.index.remarks, *self._odd_amplitude()))

    def _odd_amplitude(self) -> Iterable[str]:
        """Yields a remark if the samples are too small or too large for microvolts of EEG."""
        spreads = []
        for i in evenly_spaced(len(self), _LOOKED_AT).tolist():
            with suppress(DataError):
                spreads.append(float(np.median(self.signal(i).std(axis=1))))
        usual = float(np.median([each for each in spreads if each > 0] or [1.0]))
        if not self._asked[0] and not _SMALL <= usual <= _BIG:
            guess = " 1e6 if they are volts, or 1e3 if they are millivolts" if usual < 1 else ""
            yield (
                f"The standard deviation is {usual:.2g}, and EEG has about 5 to 100 uV: the unit "
                f"may be another. Set data.options.factor,{guess or ' such as 1e-3'}."
            )

    def find_files(self) -> Index:
        """Returns the index of the recordings; text beside binary recordings holds notes."""
        try:
            return index_files(self.path, BINARY, self.labels, _COMPANIONS)
        except DataError:
            return index_files(self.path, TEXT, self.labels)

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
        return open_source(self.path_of(file), self.options.rate, self.options.variable)

    @property
    def _asked(self) -> tuple[tuple[str, ...], float]:
        """The channels that were chosen, and the lowest frequency."""
        return self.options.channels, self.options.band[0]

    def _look(self) -> dict[int, _Cut]:
        """Cuts every file that has a signal."""
        names = [self.files.key(file) for file in range(len(self.files))]
        recordings = [i for i, name in enumerate(names) if name.rpartition("/")[2] != "labels.csv"]
        channels = self.inspect(lambda file: usable(self._source(file), *self._asked), recordings)
        listed_elsewhere = self._continued(channels)
        channels = {i: names for i, names in channels.items() if i not in listed_elsewhere}
        self._with_signal = [file for file, listed in channels.items() if listed]
        silent = {names[i]: self._source(i) for i, listed in channels.items() if not listed}
        if silent:
            _log.info("%d files hold annotations and no signal.", len(silent))
        cuts = self.inspect(lambda file: self._cut(file, silent), self._with_signal)
        if not cuts:
            raise DataError(f"'{self.path}' holds annotations and no signal.")
        return cuts

    def _continued(self, files: Iterable[int]) -> set[int]:
        """Returns the files that another file names as its continuation, as parts of a long FIF."""
        own = {file: self.path_of(file).resolve() for file in files}
        parts = {
            part.resolve()
            for file in own
            for part in self._source(file).parts
            if part.resolve() != own[file]
        }
        return {file for file, path in own.items() if path in parts}

    def _cut(self, file: int, silent: dict[str, Source]) -> _Cut:
        options, source = self.options, self._source(file)
        starts = np.concatenate([self._starts(span, source.rate) for span in source.spans])
        if not len(starts):
            longest = max(span.seconds for span in source.spans)
            apart = " without a pause" if len(source.spans) > 1 else ""
            raise DataError(
                f"lasts {longest:.3g} s{apart}, less than data.options.window {options.window:g}"
            )
        notes = [*source.notes, *borrowed(self.files.key(file), source, silent)]
        starts = good_starts(starts, options.window, notes)
        if not len(starts):
            raise DataError("is annotated as bad throughout")
        if not options.annotations:
            return _Cut(starts, [])
        return _Cut(starts, [label_of(start, options.window, notes) for start in starts.tolist()])

    def _starts(self, span: Span, rate: float) -> NDArray[np.float64]:
        """Returns when the windows of a span start, by the clock."""
        stride = self.options.stride or self.options.window
        last = span.seconds - self.options.window + 0.5 / rate
        return (
            span.start + np.arange(max(0, math.floor(last / stride) + 1), dtype=np.float64) * stride
        )

    def _choose(self) -> dict[str, NDArray[np.float64]]:
        """Decides on the channels; returns the places of electrodes that the first file gives.

        Raises:
            UsageError: If no recording has a channel that was chosen.
            DataError: If the recordings share no channel.
        """
        sources = {file: self._source(file) for file in self._with_signal}
        montage = choose(sources, *self._asked)
        self._names = montage.names
        if not self._names:
            kinds = len({frozenset(usable(source, *self._asked)) for source in sources.values()})
            raise DataError(
                f"The recordings in '{self.path}' have {kinds} different sets of channels and no "
                "channel in common. Give --data one kind of them, or data.options.channels."
            )
        for file, name in montage.lacking.items():
            self.faults.setdefault(file, f"has no channel {name}")
        remarks = (*self.files.remarks, *self._strays(sources.values()), *montage.remarks)
        self.files = replace(self.files, remarks=remarks)
        if self.options.image != "topography":
            return {}
        complete = (file for file in sources if file not in montage.lacking)
        return next((dict(sources[file].places) for file in complete), {})

    def _strays(self, sources: Iterable[Source]) -> Iterable[str]:
        """Yields a remark if there are data files that no header names."""
        used = {part.name for source in sources for part in source.parts}
        names = [key for key in walk(self.path) if key.lower().endswith(_DATA)]
        strays = sorted(name for name in names if name.rpartition("/")[2] not in used)
        if strays and not self.faults:  # else a faulty header may name them
            yield f"{len(strays)} data files without a header are not read, such as '{strays[0]}'."

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
            origins=self._origins(groups),
        )

    def _labels(self, cuts: dict[int, _Cut]) -> list[str]:
        """Returns the label of each window: of annotations where asked for, else of its file."""
        if self.options.annotations:
            return [label for cut in cuts.values() for label in cut.labels or [""]]
        if self.options.group == "folder" and not self.declares_labels:
            return [""] * len(self._file)
        classes = (*self.files.classes, "")  # the last is -1
        return [classes[k] for k in self.files.labels[self._file].tolist()]

    def _origins(self, groups: Sequence[str]) -> dict[str, str]:
        """Says how labels and groups were found, where it is not as declared."""
        folders = self.options.group == "folder"
        found = {"group": f"names of {'folders' if folders else 'files'} (subjects)"}
        alone = [self.files.group(file) for file in range(len(self.files))]
        origins = {**(found if set(groups) - set(alone) else {}), **self.files.origins}
        annotated = {"label": "annotations of the recordings"} if self.options.annotations else {}
        return {**origins, **annotated}

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
        count = round(options.window * options.resample)
        x = np.empty((len(self._names), count), np.float32)
        bad = np.isin(self._names, list(source.bad))
        spread = np.empty(len(x), np.float32)
        for rate, rows in self._by_rate(source):
            part, begin, dead_rows = self._filtered(source, float(self._start[i]), rate, rows)
            spread[rows], bad[rows] = part.std(axis=1), bad[rows] | dead_rows
            part = part[:, begin : begin + count]
            short = count - part.shape[1]  # a sample, by rounding
            x[rows] = np.pad(part, ((0, 0), (0, short)), mode="edge")
        bad |= unlike(spread, bad)
        if options.reference == "average":
            x = averaged(x, bad)
        if options.bad_channels == "zero":
            x[bad] = 0
        return x

    def _by_rate(self, source: Source) -> Iterable[tuple[float, list[int]]]:
        """Yields each sampling rate of the chosen channels, and their rows."""
        rates = [source.rate_of(name) for name in self._names]
        for rate in dict.fromkeys(rates):
            yield rate, [row for row, each in enumerate(rates) if each == rate]

    def _filtered(
        self, source: Source, start: float, rate: float, rows: Sequence[int]
    ) -> tuple[Reals, int, NDArray[np.bool_]]:
        """Returns a window with what is around it, filtered and at the common sampling rate.

        Returns:
            Samples (C, n), the number of the first one in the window, and which channels are dead.
        """
        options, names = self.options, [self._names[row] for row in rows]
        span = next(s for s in reversed(source.spans) if s.start <= start + 1e-6)
        origin = math.ceil(span.offset * rate - 1e-6)
        end = math.floor((span.offset + span.seconds) * rate + 1e-6)
        at, margin = (start - span.start) * rate, _MARGIN * rate
        first = max(0, round(at - margin))
        stop = min(end - origin, round(at + options.window * rate + margin))
        if not is_fast(rate, options.band[0]):
            raise DataError(
                f"has {rate:g} samples a second of {names[0]}, too few for data.options.band"
            )
        x = source.read(origin + first, origin + stop, names) * np.float32(options.factor)
        dead_rows = dead(x)
        x = np.where(dead_rows[:, None], 0, x - x.mean(axis=1, keepdims=True))
        x = bandpass(x, rate, *options.band, mirrored=len(source.spans) > 1)
        x = resampled(x, rate, options.resample)
        return x, round((at - first) / rate * options.resample), dead_rows
