"""EEG recordings of many formats, cut into windows."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from os.path import splitext
from pathlib import Path

import mne
import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError, Index, UsageError
from ssl_kit.data import FileDataset, evenly_spaced, index_files, walk

from .cutting import FAULTY, Cut, windows_of
from .montage import Montage, choose, usable
from .notes import borrowed
from .reader_remarks import listed_sets, of_amplitude, of_annotations, of_options, strays
from .recording_config import RecordingConfig as RecordingConfig
from .recording_order import Recording, numbered
from .signals import Reals, averaged, unlike
from .source_base import NoRateError, Outline, Source
from .sources import BINARY, TEXT, open_source
from .window_reading import by_rate, read_filtered
from .windows import Windows

_log = logging.getLogger("ssl_kit")
_LOOKED_AT = 8  # windows that tell the amplitude
_DATA = (".eeg", ".dat", ".avg", ".seg", ".fdt")  # beside the headers that are read
_COMPANIONS = (*_DATA, ".vmrk", ".amrk")


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
        outlines, cuts = self._look()
        known = self._choose(outlines)
        self.refuse_if_all_fail(cuts.keys() - self.faults.keys())
        cuts |= dict.fromkeys(self.faults, FAULTY)
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

    def _look(self) -> tuple[dict[int, Outline], dict[int, Cut]]:
        """Opens every file once; returns the facts of those with a signal, and their windows."""
        names = [self.files.key(file) for file in range(len(self.files))]
        recordings = [i for i, name in enumerate(names) if name.rpartition("/")[2] != "labels.csv"]
        outlines = self._outlines(recordings)
        listed_elsewhere = self._continued(outlines)
        outlines = {i: each for i, each in outlines.items() if i not in listed_elsewhere}
        silent = {names[i]: o for i, o in outlines.items() if not (o.names or o.others)}
        if silent:
            _log.info("%d files hold annotations and no signal.", len(silent))
        outlines = {i: each for i, each in outlines.items() if names[i] not in silent}

        def cut_file(file: int) -> Cut:
            facts = outlines[file]
            notes = [*facts.notes, *borrowed(names[file], facts, silent)]
            return windows_of(facts, self.options, notes)

        cuts = self.inspect(cut_file, outlines)
        if not cuts:
            raise DataError(f"'{self.path}' holds annotations and no signal.")
        return outlines, cuts

    def _outlines(self, recordings: Sequence[int]) -> dict[int, Outline]:
        """Returns the facts of the recordings that can be opened.

        Raises:
            UsageError: If none declares its sampling rate.
        """
        without_rate: set[int] = set()

        def look(file: int) -> Outline:
            try:
                return Outline(self._source(file))
            except NoRateError:
                without_rate.add(file)
                raise

        try:
            return self.inspect(look, recordings)
        except DataError as error:
            if without_rate == self.faults.keys():
                raise UsageError(str(error)) from None
            raise

    def _continued(self, outlines: Mapping[int, Outline]) -> set[int]:
        """Returns the files that another file names as its continuation, as parts of a long FIF."""
        own = {file: self.path_of(file).resolve() for file in outlines}
        parts = {
            part.resolve()
            for file, outline in outlines.items()
            for part in outline.parts
            if part.resolve() != own[file]
        }
        return {file for file, path in own.items() if path in parts}

    def _choose(self, outlines: Mapping[int, Outline]) -> dict[str, NDArray[np.float64]]:
        """Decides on the channels; returns the places of electrodes that the first file gives.

        Raises:
            UsageError: If no recording has a channel that was chosen.
            DataError: If the recordings share no channel.
        """
        montage = choose(outlines, *self._asked)
        self._names = montage.names
        if not self._names:
            has = {self.files.key(i): usable(each, *self._asked) for i, each in outlines.items()}
            raise DataError(
                f"The recordings in '{self.path}' have no channel in common: {listed_sets(has)}. "
                "Give --data recordings of one kind, or choose data.options.channels."
            )
        for file, name in montage.lacking.items():
            self.faults.setdefault(file, f"has no channel {name}")
        self._remark(outlines, montage)
        if self.options.image != "topography":
            return {}
        complete = (file for file in outlines if file not in montage.lacking)
        return next((dict(self._source(file).places) for file in complete), {})

    def _remark(self, outlines: Mapping[int, Outline], montage: Montage) -> None:
        """Adds what was assumed and left out to the remarks on the files."""
        read = [each for file, each in outlines.items() if file not in self.faults]
        found = [key for key in walk(self.path) if key.lower().endswith(_DATA)]
        # a faulty recording may name data files
        unnamed = () if self.faults else strays(found, outlines.values())
        remarks = (*unnamed, *montage.remarks, *of_options(read, self.options))
        self.files = replace(self.files, remarks=(*self.files.remarks, *remarks))

    def _lay_out(self, cuts: dict[int, Cut]) -> None:
        """Sets the index: the windows of good recordings, and one entry for each faulty one."""
        files = np.array(list(cuts))
        counts = [len(cut.starts) for cut in cuts.values()]
        self._file = np.repeat(files, counts).astype(np.int32)
        self._start = np.concatenate([cut.starts for cut in cuts.values()])
        groups = [group for file, cut in cuts.items() for group in self._groups(file, cut)]
        recordings, remarks = self._recordings(cuts, groups)
        index = self.files.expand(
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
        self.index = replace(index, remarks=(*index.remarks, *remarks))

    def _recordings(
        self, cuts: Mapping[int, Cut], groups: Sequence[str]
    ) -> tuple[NDArray[np.int64], list[str]]:
        """Returns the number of the recording of each window, (n,), and remarks on their order."""
        windows = [(file, span.part) for file, each in cuts.items() for span in each.spans]
        names = {file: splitext(self.files.key(file))[0] for file in cuts}
        recordings = {
            (file, part): Recording(
                file, part, names[file], group, cuts[file].began, cuts[file].seconds
            )
            for (file, part), group in zip(windows, groups, strict=True)
        }
        numbers, remarks = numbered(list(recordings.values()), len(self.files))
        number = dict(zip(recordings, numbers, strict=True))
        return np.array([number[window] for window in windows]), remarks

    def _labels(self, cuts: dict[int, Cut]) -> list[str]:
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

    def _origins(self, cuts: Mapping[int, Cut], groups: Sequence[str]) -> dict[str, str]:
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

    def _groups(self, file: int, cut: Cut) -> list[str]:
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
