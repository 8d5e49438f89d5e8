"""Recordings in the other formats of MNE: GDF, FIF, BrainVision, EEGLAB."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import mne
import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError

from .channel_types import types_of
from .electrodes import canonical
from .source_base import Note, Reals, Source, by_the_clock, spans_between

_EEG = ("eeg", "seeg", "ecog", "dbs")
_VOLTS = (*_EEG, "eog", "emg", "ecg", "bio", "misc")
_LARGEST_INSIDE = 2**28  # bytes of a .set that holds its data and so is read whole
_JOINTS = ("boundary", "edge boundary", "new segment/")  # where a recording was paused or cut
_SEGMENT = re.compile(r"^Mk\d+=New Segment,[^,]*,(\d+),-?\d*,-?\d*(?:,(\d{20}))?", re.M)


class MneSource(Source):
    """A recording in any format of MNE, whose samples are read when they are needed.

    The texts of MNE's errors are not passed on, because they may quote a patient's name.
    """

    def __init__(self, path: Path) -> None:
        if holds_its_data(path) and path.stat().st_size > _LARGEST_INSIDE:
            raise DataError("holds its data inside of the .set; save them as a .fdt beside it")
        with guarded("cannot be opened as the format of its ending"):
            self._raw: Any = _opened(path)
            raw, labels, kinds = self._raw, self._raw.ch_names, self._raw.get_channel_types()
        self.parts = tuple(Path(name) for name in raw.filenames if name)
        self._check(path)
        names = canonical(labels)
        self._row = {name.lower(): row for row, name in enumerate(names)}
        self._factor = {
            name.lower(): 1e6 if kind in _VOLTS else 1.0
            for name, kind in zip(names, kinds, strict=True)
        }
        by_name = ["eeg" if path.suffix.lower() == ".fif" else kind for kind in types_of(labels)]
        typed = [
            (name, named if kind in _EEG else "other")
            for name, kind, named in zip(names, kinds, by_name, strict=True)
            if kind != "stim"
        ]
        self._set_types([name for name, _ in typed], [kind for _, kind in typed])
        self.bad = frozenset(names[labels.index(name)] for name in raw.info["bads"])
        date = raw.info["meas_date"]
        self.began = None if date is None else date.timestamp() + raw.first_time
        self._keep_notes(path)

    def _keep_notes(self, path: Path) -> None:
        """Sets the annotations and the spans between joints, by the clock."""
        raw = self._raw
        with guarded("has damaged annotations"):
            notes = raw.annotations
        first = raw.first_time if notes.orig_time is not None else 0.0
        listed = [
            Note(onset - first, onset - first + length, str(text).strip())
            for onset, length, text in zip(
                notes.onset, notes.duration, notes.description, strict=True
            )
        ]
        joints = {note.start: 0.0 for note in listed if note.text.lower().startswith(_JOINTS)}
        if path.suffix.lower() == ".set":  # its boundaries last as long as what was cut out
            joints = {note.start: note.stop - note.start for note in listed if note.start in joints}
        if path.suffix.lower() in (".vhdr", ".ahdr"):
            joints |= _pauses(path, float(raw.info["sfreq"]), joints)
        pauses = [(at, max(0.0, float(np.nan_to_num(pause)))) for at, pause in joints.items()]
        self.spans = spans_between(pauses, raw.n_times / float(raw.info["sfreq"]))
        self.notes = tuple(
            Note(
                start := by_the_clock(note.start, self.spans),
                start + note.stop - note.start,
                note.text,
            )
            for note in listed
            if not note.text.lower().startswith(_JOINTS)
        )

    def _check(self, path: Path) -> None:
        """Refuses a header that declares more samples than there are bytes."""
        data = {path, path.with_suffix(".fdt"), path.with_suffix(".eeg")}
        data |= set(self.parts)
        size = sum(file.stat().st_size for file in data if file.is_file())
        samples, rate = int(self._raw.n_times), float(self._raw.info["sfreq"])
        if samples > size and path.suffix.lower() != ".set":
            raise DataError(f"declares {samples} samples but is only {size} bytes long")
        if not np.isfinite(rate) or rate <= 0:
            raise DataError("declares no sampling rate")

    @property
    def places(self) -> dict[str, NDArray[np.float64]]:
        """Positions of electrodes that the file gives."""
        montage = self._raw.get_montage()
        if montage is None:
            return {}
        known = montage.get_positions()["ch_pos"]
        return dict(zip(canonical(list(known)), known.values(), strict=True))

    def rate_of(self, name: str) -> float:
        """Returns the sampling rate of a channel in Hz."""
        return float(self._raw.info["sfreq"])

    def read(self, start: int, stop: int, names: Sequence[str]) -> Reals:
        """Reads an interval."""
        rows = [self._row[name.lower()] for name in names]
        with guarded("is damaged or cut off"):
            values = self._volts(start, stop, rows)
        if values.shape != (len(names), stop - start):
            raise DataError("is damaged or cut off")
        factors = np.array([self._factor[name.lower()] for name in names])
        return np.asarray(values * factors[:, None], dtype=np.float32)

    def _volts(self, start: int, stop: int, rows: list[int]) -> NDArray[np.float64]:
        """Returns samples of channels, (C, n), in the units of MNE."""
        values = self._raw.get_data(picks=rows, start=start, stop=stop, verbose="ERROR")
        return np.asarray(values, np.float64)


class GdfSource(MneSource):
    """A GDF recording, each channel at its own rate.

    MNE would bring channels of several rates to one, a part at a time, which changes values.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with guarded("cannot be opened as the format of its ending"):
            self._path, self._records = path, self._raw._raw_extras[0]
            self._counts = [int(count) for count in self._records["n_samps"]]

    def rate_of(self, name: str) -> float:
        """Returns the sampling rate of a channel in Hz."""
        count = self._counts[self._row[name.lower()]]
        return float(self._raw.info["sfreq"]) * count / int(self._records["max_samp"])

    def _volts(self, start: int, stop: int, rows: list[int]) -> NDArray[np.float64]:
        if len(set(self._counts)) == 1:
            return super()._volts(start, stop, rows)
        records, count = self._records, self._counts[rows[0]]
        places = np.cumsum([0, *self._counts])
        first, last = start // count, -(-stop // count)
        with self._path.open("rb") as file:
            record = int(places[-1]) * int(records["dtype_byte"])
            file.seek(int(records["data_offset"]) + first * record)
            content = file.read((last - first) * record)
        block = np.frombuffer(content, records["dtype_np"]).reshape(last - first, -1)
        picked = [block[:, places[row] : places[row + 1]].ravel() for row in rows]
        part = np.stack(picked)[:, start - first * count : stop - first * count]
        factor, offset, unit = (
            np.asarray(records[key], np.float64)[rows, None] for key in ("cal", "offsets", "units")
        )
        return np.asarray((part * factor + offset) * unit, np.float64)


def _opened(path: Path) -> Any:
    if path.suffix.lower() in (".vhdr", ".ahdr"):
        return mne.io.read_raw_brainvision(
            path, overrides=_renamed_data(path), preload=False, verbose="ERROR"
        )
    return mne.io.read_raw(path, preload=False, verbose="ERROR")


def _renamed_data(path: Path) -> dict[str, str]:
    """Returns the data file of a BrainVision header where the one that it names is missing.

    It is the file of that name without its folders or in other capitals, else the file that is
    named like the header.
    """
    text = path.read_bytes().decode("latin-1")
    match = re.search(r"^\s*DataFile\s*=\s*(.+?)\s*$", text, re.M)
    if not match:
        return {}
    named = match[1].replace("$b", path.stem)
    if (path.parent / named).is_file():
        return {}
    beside = {each.name.lower(): each.name for each in path.parent.iterdir() if each.is_file()}
    last = re.split(r"[\\/]", named)[-1]
    endings = dict.fromkeys([Path(last).suffix.lower(), ".eeg", ".dat", ".avg", ".seg"])
    for name in (last.lower(), *(path.stem.lower() + ending for ending in endings if ending)):
        if name in beside:
            return {"data_fname": beside[name]}
    raise DataError(f"needs '{path.stem}.eeg', which is not there")  # the other name may be private


def _pauses(path: Path, rate: float, joints: dict[float, float]) -> dict[float, float]:
    """Returns the pauses before the segments of a BrainVision recording, in seconds.

    The time of the computer is written with each segment.
    """
    markers = path.with_suffix(".amrk" if path.suffix.lower() == ".ahdr" else ".vmrk")
    named = re.search(r"^\s*MarkerFile\s*=\s*(.+?)\s*$", path.read_text("latin-1"), re.M)
    if named and (path.parent / named[1]).is_file():
        markers = path.parent / named[1]
    if not joints or not markers.is_file():
        return {}
    segments = [
        ((int(at) - 1) / rate, datetime.strptime(date, "%Y%m%d%H%M%S%f"))
        for at, date in _SEGMENT.findall(markers.read_text("latin-1"))
        if date.strip("0")
    ]
    pauses = {}
    for (before, then), (at, now) in pairwise(segments):
        nearest = min(joints, key=lambda joint: abs(joint - at))
        if abs(nearest - at) < 1 / rate:
            pauses[nearest] = (now - then).total_seconds() - (at - before)
    return pauses


def holds_its_data(path: Path) -> bool:
    """Tells whether a file is a .set without a .fdt, which MNE reads as a whole."""
    return path.suffix.lower() == ".set" and not path.with_suffix(".fdt").exists()


@contextmanager
def guarded(problem: str) -> Iterator[None]:
    """Turns any error of MNE into a DataError that names only the kind of the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DataError:
        raise
    except FileNotFoundError as error:
        ending = Path(error.filename or str(error)).suffix.rstrip("'\".,)") or "a file"
        raise DataError(f"needs its {ending}, which is not there") from None
    except Exception as error:  # noqa: BLE001  a damaged header can raise anything
        if "epoch" in str(error).lower():
            raise DataError(
                "holds epochs, not a continuous recording; save the continuous recording"
            ) from None
        raise DataError(f"{problem} ({type(error).__name__})") from None
