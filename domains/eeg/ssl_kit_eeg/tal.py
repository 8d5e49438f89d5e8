"""Time-stamped annotation lists of EDF+ and BDF+: times of records, and annotations.

https://www.edfplus.info/specs/edfplus.html#tal: an onset, maybe a length, and texts, with the
control characters 20, 21 and 0 between them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .source_base import Note

_ONSET = re.compile(rb"^([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?$")


@dataclass(frozen=True)
class Times:
    """What the annotation channels of a file say; times in seconds from its first sample.

    Attributes:
        first: Seconds from the time in the header to the first sample.
        onsets: (records,) when the records begin; None if a record does not say it.
        step: Value of the last decimal place of the onsets in seconds, 1 if they are whole.
        notes: Annotations.
    """

    first: float
    onsets: NDArray[np.float64] | None
    step: float
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class _Stamped:
    """One list: its onset as it is written, its length in seconds, its texts."""

    onset: bytes
    seconds: float
    texts: list[bytes]


def times_in(channels: Sequence[NDArray[np.uint8]]) -> Times:
    """Reads annotation channels.

    Args:
        channels: Bytes of each channel, (records, bytes); the first one holds the times of records.
    """
    records = [[_lists(record.tobytes()) for record in channel] for channel in channels]
    stamps = [_stamp(lists) for lists in records[0]] if records else []
    first = float(stamps[0] or 0) if stamps else 0.0
    notes = [
        Note(float(each.onset) - first, float(each.onset) - first + each.seconds, _decoded(text))
        for lists in (lists for channel in records for lists in channel)
        for each in lists
        for text in each.texts
        if text
    ]
    decimals = max((len(stamp.partition(b".")[2]) for stamp in stamps), default=0)
    onsets = (
        np.array([float(stamp) for stamp in stamps]) - first if stamps and all(stamps) else None
    )
    return Times(first, onsets, 10.0**-decimals, tuple(notes))


def _lists(content: bytes) -> list[_Stamped]:
    """Returns the lists of a record."""
    lists = []
    for part in content.split(b"\0"):
        head, *texts = part.split(b"\x14")
        match = _ONSET.match(head)
        if match and len(texts) > 1:  # each text ends in a 20
            lists.append(_Stamped(match[1], float(match[2] or 0), texts[:-1]))
    return lists


def _stamp(lists: list[_Stamped]) -> bytes:
    """Returns when a record begins, as it is written: a list whose first text is empty."""
    return lists[0].onset if lists and not lists[0].texts[0] else b""


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8").strip()
    except UnicodeDecodeError:
        return text.decode("latin-1").strip()
