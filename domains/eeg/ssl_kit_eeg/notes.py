"""Annotations of recordings: labels of windows, and times that are not used."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .source_base import Facts, Note

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


def labels_of(starts: NDArray[np.float64], window: float, notes: Iterable[Note]) -> list[str]:
    """Returns the annotation that covers most of each window, "" if it covers less than half.

    Args:
        starts: (n,) starts of the windows in seconds.
        window: Length of a window in seconds.
        notes: Annotations of the recording.
    """
    waiting = sorted(
        (note for note in notes if _may_label(note, window)), key=lambda note: -note.start
    )
    labels, current = [""] * len(starts), list[Note]()
    for i in np.argsort(starts, kind="stable").tolist():
        start = float(starts[i])
        while waiting and waiting[-1].start < start + window:
            current.append(waiting.pop())
        current = [note for note in current if note.stop > start]
        shares = [
            (min(note.stop, start + window) - max(note.start, start), note.text) for note in current
        ]
        most, text = max(shares, default=(0.0, ""))
        labels[i] = text if most >= window / 2 else ""
    return labels


def _may_label(note: Note, window: float) -> bool:
    """Tells whether a note is long enough to label a window, and not of a bad time."""
    return note.stop - note.start >= window / 2 and not of_bad_times(note)


def has_labels(notes: Sequence[Note], window: float) -> bool:
    """Tells whether an annotation is long enough to label a window of some seconds."""
    return any(_may_label(note, window) for note in notes)


def borrowed(key: str, source: Facts, others: Mapping[str, Facts]) -> list[Note]:
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
