"""Annotations of recordings: labels of windows, and times that are not used."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .source_base import Note, Source

_ALIKE = 6  # characters that the names of a recording and of its hypnogram begin with


def of_bad_times(note: Note) -> bool:
    """Tells whether an annotation marks its time as bad, by the convention of MNE."""
    return note.text.lower().startswith("bad")


def good_starts(
    starts: NDArray[np.float64], window: float, notes: Sequence[Note]
) -> NDArray[np.float64]:
    """Returns the starts of the windows that do not overlap a bad time.

    Args:
        starts: (n,) seconds.
        window: Length of a window in seconds.
        notes: Annotations of the recording.
    """
    for note in filter(of_bad_times, notes):
        starts = starts[(starts + window <= note.start) | (starts >= note.stop)]
    return starts


def label_of(start: float, window: float, notes: Sequence[Note]) -> str:
    """Returns the annotation that covers most of a window, "" if it covers less than half.

    Args:
        start: Start of the window in seconds.
        window: Length of a window in seconds.
        notes: Annotations of the recording.
    """
    shares = [
        (min(note.stop, start + window) - max(note.start, start), note.text)
        for note in notes
        if not of_bad_times(note)
    ]
    most, text = max(shares, default=(0.0, ""))
    return text if most >= window / 2 else ""


def has_labels(notes: Sequence[Note], window: float) -> bool:
    """Tells whether an annotation is long enough to label a window of some seconds."""
    return any(note.stop - note.start >= window / 2 and not of_bad_times(note) for note in notes)


def borrowed(key: str, source: Source, others: Mapping[str, Source]) -> list[Note]:
    """Returns the annotations that a file without signals holds for a recording, on its clock.

    Of the files in the same folder it is the one with the longest common beginning of the name, at
    least six characters: SC4001EC-Hypnogram.edf for SC4001E0-PSG.edf in Sleep-EDF.

    Args:
        key: Path of the recording.
        source: The recording.
        others: Files without signals, by their paths.
    """
    folder, slash, name = key.rpartition("/")
    alike = [
        (len(os.path.commonprefix([name, each.rpartition("/")[2]])), each)  # noqa: RUF071
        for each in others
        if each.rpartition("/")[:2] == (folder, slash)
    ]
    most, best = max(alike, default=(0, ""))
    if most < _ALIKE:
        return []
    other = others[best]
    both = source.began is not None and other.began is not None
    later = float(other.began or 0) - float(source.began or 0) if both else 0.0
    return [replace(n, start=n.start + later, stop=n.stop + later) for n in other.notes]
