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
            raws = [_opened(path, include) for include in _of_each_rate(path)]
        self._raw = raw = raws[0]
        self._check(path)
        labels = [name for raw in raws for name in raw.ch_names]
        kinds = [kind for raw in raws for kind in raw.get_channel_types()]
        names = canonical(labels)
        places = [(raw, row) for raw in raws for row in range(len(raw.ch_names))]
        self._place = dict(zip((name.lower() for name in names), places, strict=True))
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
        self.began = None if date is None else date.timestamp()
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
        data |= {Path(name) for name in self._raw.filenames if name}
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
        return float(self._place[name.lower()][0].info["sfreq"])

    def read(self, start: int, stop: int, names: Sequence[str]) -> Reals:
        """Reads an interval."""
        places = [self._place[name.lower()] for name in names]
        raw, rows = places[0][0], [row for _, row in places]
        with guarded("is damaged or cut off"):
            values = raw.get_data(picks=rows, start=start, stop=stop, verbose="ERROR")
        if values.shape != (len(names), stop - start):
            raise DataError("is damaged or cut off")
        factors = np.array([self._factor[name.lower()] for name in names])
        return np.asarray(values * factors[:, None], dtype=np.float32)


def _opened(path: Path, include: list[str]) -> Any:
    """Opens a file with MNE; of GDF only some channels, so that all have one rate."""
    if path.suffix.lower() == ".gdf":
        return mne.io.read_raw_gdf(path, include=include or None, verbose="ERROR")
    if path.suffix.lower() in (".vhdr", ".ahdr"):
        return mne.io.read_raw_brainvision(
            path, overrides=_renamed_data(path), preload=False, verbose="ERROR"
        )
    return mne.io.read_raw(path, preload=False, verbose="ERROR")


def _of_each_rate(path: Path) -> list[list[str]]:
    """Returns the channels of a GDF file by rate, the highest first; of other files one [].

    MNE brings channels of several rates to one, a part at a time, which changes values.

    Raises:
        DataError: If two channels of different rates have one name.
    """
    if path.suffix.lower() != ".gdf":
        return [[]]
    with path.open("rb") as file:
        channels = int.from_bytes(file.read(256)[252:254], "little")
        content = file.read(256 * channels)
    labels = [content[16 * c : 16 * (c + 1)] for c in range(channels)]
    names = [label.split(b"\0")[0].decode("latin-1").strip() for label in labels]
    counts = np.frombuffer(content[216 * channels : 220 * channels], "<i4").tolist()
    if len(counts) != channels or len(set(counts)) < 2:
        return [[]]
    by_rate = [
        [name for name, count in zip(names, counts, strict=True) if count == rate]
        for rate in sorted(set(counts) - {0}, reverse=True)
    ]
    if sum(len(set(each)) for each in by_rate) != len(set().union(*by_rate)):
        raise DataError("has channels of one name and different sampling rates")
    return by_rate


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
