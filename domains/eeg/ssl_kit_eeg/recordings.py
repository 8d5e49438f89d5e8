"""EEG recordings of many formats, cut into windows."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import mne
import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError, Index
from ssl_kit.data import FileDataset, evenly_spaced, index_files, walk

from .montage import Montage, choose, usable
from .notes import borrowed, good_starts, has_labels, label_of
from .reader_remarks import listed_sets, of_amplitude, of_annotations, of_options, strays
from .recording_config import RecordingConfig as RecordingConfig
from .signals import Reals, averaged, unlike
from .source_base import Source, Span
from .sources import BINARY, TEXT, open_source
from .window_reading import by_rate, read_filtered
from .windows import Windows

_log = logging.getLogger("ssl_kit")
_LOOKED_AT = 8  # windows that tell the amplitude
_DATA = (".eeg", ".dat", ".avg", ".seg", ".fdt")  # beside the headers that are read
_COMPANIONS = (*_DATA, ".vmrk", ".amrk")


@dataclass(frozen=True)
class _Cut:
    """Windows of one file.

    Attributes:
        starts: (n,) seconds.
        spans: Span of each window.
        labels: Label of each window by the annotations; [] if they are not used.
        annotated: Whether an annotation is long enough for a label.
    """

    starts: NDArray[np.float64]
    spans: list[Span]
    labels: list[str]
    annotated: bool = False


_FAULTY = _Cut(np.zeros(1), [Span(0, 0, 0)], [""])  # one window, which cannot be read


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
        found = sum(cut.annotated for cut in cuts.values()) if self._lacks_labels else 0
        remarks = (*self.index.remarks, *of_annotations(found), *self._odd_amplitude())
        self.index = replace(self.index, remarks=remarks)

    @property
    def _lacks_labels(self) -> bool:
        """Whether no window has a label, and annotations are not used."""
        index = self.index
        return not (self.options.annotations or index.classes or index.targets is not None)

    def _odd_amplitude(self) -> Iterable[str]:
        """Yields a remark if the samples are too small or too large for microvolts of EEG."""
        spreads = []
        for i in evenly_spaced(len(self), _LOOKED_AT).tolist():
            with suppress(DataError):
                spreads.append(float(np.median(self.signal(i).std(axis=1))))
        usual = float(np.median([each for each in spreads if each > 0] or [1.0]))
        if not self._asked[0]:
            yield from of_amplitude(usual)

    def find_files(self) -> Index:
        """Returns the index of the recordings; text beside binary recordings holds notes."""
        option = "data.options.annotations=true" if self.options.annotations else ""
        try:
            return index_files(self.path, BINARY, self.labels, _COMPANIONS, option)
        except DataError:
            return index_files(self.path, TEXT, self.labels, label_option=option)

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
            apart += " or a change of subject or label" if source.spans[-1].part else ""
            raise DataError(
                f"lasts {longest:.3g} s{apart}, less than data.options.window {options.window:g}"
            )
        notes = [*source.notes, *borrowed(self.files.key(file), source, silent)]
        starts = good_starts(starts, options.window, notes)
        if not len(starts):
            raise DataError("is annotated as bad throughout")
        window, times = options.window, starts.tolist()
        spans = [source.span_at(start) for start in times]
        labels = [label_of(start, window, notes) for start in times if options.annotations]
        return _Cut(starts, spans, labels, has_labels(notes, window))

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
            has = {self.files.key(i): usable(each, *self._asked) for i, each in sources.items()}
            raise DataError(
                f"The recordings in '{self.path}' have no channel in common: {listed_sets(has)}. "
                "Give --data recordings of one kind, or choose data.options.channels."
            )
        for file, name in montage.lacking.items():
            self.faults.setdefault(file, f"has no channel {name}")
        self._remark(sources, montage)
        if self.options.image != "topography":
            return {}
        complete = (file for file in sources if file not in montage.lacking)
        return next((dict(sources[file].places) for file in complete), {})

    def _remark(self, sources: Mapping[int, Source], montage: Montage) -> None:
        """Adds what was assumed and left out to the remarks on the files."""
        read = [each for file, each in sources.items() if file not in self.faults]
        found = [key for key in walk(self.path) if key.lower().endswith(_DATA)]
        unnamed = () if self.faults else strays(found, sources.values())  # a faulty one may name it
        remarks = (*unnamed, *montage.remarks, *of_options(read, self.options))
        self.files = replace(self.files, remarks=(*self.files.remarks, *remarks))

    def _lay_out(self, cuts: dict[int, _Cut]) -> None:
        """Sets the index: the windows of good recordings, and one entry for each faulty one."""
        files = np.array(list(cuts))
        counts = [len(cut.starts) for cut in cuts.values()]
        self._file = np.repeat(files, counts).astype(np.int32)
        self._start = np.concatenate([cut.starts for cut in cuts.values()])
        groups = [group for file, cut in cuts.items() for group in self._groups(file, cut)]
        parts = np.array([span.part for cut in cuts.values() for span in cut.spans])
        recordings = self._file + parts * len(self.files)
        self.index = self.files.expand(
            self._file,
            [
                f"{self.files.key(file)}#{start:.10g}"
                for file, start in zip(self._file.tolist(), self._start.tolist(), strict=True)
            ],
            np.column_stack([recordings, self._start]),
            labels=self._labels(cuts),
            groups=groups,
            origins=self._origins(cuts, groups),
        )

    def _labels(self, cuts: dict[int, _Cut]) -> list[str]:
        """Returns the label of each window: of annotations where asked for, else of its file.

        The label of a file comes from labels.csv, then from its own column, then from its folder.
        """
        if self.options.annotations:
            return [label for cut in cuts.values() for label in cut.labels or [""]]
        labels: list[str] = []
        for file, cut in cuts.items():
            in_folder = "" if self.options.group == "folder" else self.files.label(file)
            declared = self.files.label(file) if self.declares_labels else ""
            labels += [declared or span.label or in_folder for span in cut.spans]
        return labels

    def _origins(self, cuts: Mapping[int, _Cut], groups: Sequence[str]) -> dict[str, str]:
        """Says how labels and groups were found, where it is not as declared."""
        folders = self.options.group == "folder"
        found = {"group": f"names of {'folders' if folders else 'files'} (subjects)"}
        alone = [self.files.group(file) for file in range(len(self.files))]
        inferred = found if set(groups) - set(alone) else {}
        spans = [span for cut in cuts.values() for span in cut.spans]
        columns = {
            kind: "columns of the recordings"
            for kind in ("group", "label")
            if any(getattr(span, kind) for span in spans)
        }
        declared = self.files.origins if self.declares_labels else {}
        annotated = {"label": "annotations of the recordings"} if self.options.annotations else {}
        return {**inferred, **self.files.origins, **columns, **declared, **annotated}

    def _groups(self, file: int, cut: _Cut) -> list[str]:
        """Returns the group of each window of a file.

        It is the declared group, that of the file's own column, the subject of a BIDS name, the
        first folder, or the file.
        """
        key = self.files.key(file)
        subject = re.search(r"(?:^|[/_])(sub-[0-9A-Za-z]+)(?=[/_.])", key)
        in_folder = self.options.group == "folder" and "/" in key
        inferred = subject[1] if subject else key.partition("/")[0] if in_folder else ""
        declared, otherwise = self.declared_group(file), inferred or self.files.group(file)
        return [declared or span.group or otherwise for span in cut.spans]

    def signal(self, i: int) -> Reals:
        """Returns window i, (C, n), in microvolts.

        Raises:
            DataError: If its file is damaged or its length is another than that of its window.
        """
        file, self.filled = int(self._file[i]), False
        self.refuse_faulty(file)
        options, source = self.options, self._source(file)
        count = round(options.window * options.resample)
        x = np.empty((len(self._names), count), np.float32)
        bad = np.isin(self._names, list(source.bad))
        spread = np.empty(len(x), np.float32)
        for rate, rows in by_rate(source, self._names):
            names = [self._names[row] for row in rows]
            read = read_filtered(source, float(self._start[i]), rate, names, options)
            self.filled |= read.filled
            spread[rows], bad[rows] = read.samples.std(axis=1), bad[rows] | read.dead
            part = read.samples[:, read.first : read.first + count]
            short = count - part.shape[1]  # a sample, by rounding
            x[rows] = np.pad(part, ((0, 0), (0, short)), mode="edge")
        bad |= unlike(spread, bad)
        if options.reference == "average":
            x = averaged(x, bad)
        if options.bad_channels == "zero":
            x[bad] = 0
        return x
