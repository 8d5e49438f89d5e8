"""What every open recording offers: its channels, its spans without a pause, its samples."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError

from .channel_types import Type

Reals = NDArray[np.float32]


class NoRateError(DataError):
    """A recording does not declare its sampling rate, and none was given."""


@dataclass(frozen=True)
class Note:
    """An annotation of a part of a recording; times in seconds from the recording's start."""

    start: float
    stop: float
    text: str


@dataclass(frozen=True)
class Span:
    """A part of a recording without a pause.

    Attributes:
        start: When it starts by the clock, in seconds from the recording's start.
        seconds: Its length.
        offset: Seconds of signal that the file holds before it.
        part: Number of the recording in a file that holds several.
        group: Subject that a column of the file declares, "" if none does.
        label: Label that a column of the file declares, "" if none does.
    """

    start: float
    seconds: float
    offset: float
    part: int = 0
    group: str = ""
    label: str = ""


class Facts(ABC):
    """What a recording says of itself.

    Attributes:
        declares_rate: Whether the file, and not the option `rate`, gives the sampling rate.
        names: Names of the EEG channels.
        others: Names of further channels.
        assumed: Those of `names` that are EEG only because the file has no known electrode.
        notes: Annotations.
        spans: Parts without a pause and of one subject and label, in the order of time.
        began: Start of the recording, Unix time in seconds; None if the file does not tell it.
        parts: Further files that belong to it.
        remarks: What was assumed about the file, sentences without its name.
    """

    declares_rate: bool = True
    names: tuple[str, ...]
    others: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    spans: tuple[Span, ...]
    began: float | None = None
    parts: tuple[Path, ...] = ()
    remarks: tuple[str, ...] = ()

    @abstractmethod
    def rate_of(self, name: str) -> float:
        """Returns the sampling rate of a channel in Hz."""

    @property
    def rate(self) -> float:
        """Highest sampling rate of the EEG channels, or of the others if there are none, in Hz."""
        return max(self.rate_of(name) for name in self.names or self.others)

    @property
    def seconds(self) -> float:
        """Length of the signal without the pauses, in seconds."""
        return sum(span.seconds for span in self.spans)

    def span_at(self, time: float) -> Span:
        """Returns the span in which a window starts, whose time is in seconds by the clock."""
        later = bisect_right(self.spans, time + 1e-6, key=lambda span: span.start)
        return self.spans[max(0, later - 1)]


class Outline(Facts):
    """The facts of a recording without its samples: those of all recordings fit into memory."""

    def __init__(self, source: Source) -> None:
        """Copies the facts."""
        self.declares_rate = source.declares_rate
        self.names, self.others, self.assumed = source.names, source.others, source.assumed
        self.notes, self.spans, self.began = source.notes, source.spans, source.began
        self.parts, self.remarks = source.parts, source.remarks
        self._rates = {name: source.rate_of(name) for name in (*self.names, *self.others)}

    def rate_of(self, name: str) -> float:
        """Returns the sampling rate of a channel in Hz."""
        return self._rates[name]


class Source(Facts):
    """An open recording.

    Attributes:
        bad: Names of the channels that the file declares bad.
    """

    bad: frozenset[str] = frozenset()

    def _set_types(self, names: Sequence[str], types: Sequence[Type]) -> None:
        """Sets the EEG channels: those of unknown type count if the file has no others."""
        typed = list(zip(names, types, strict=True))
        eeg = tuple(name for name, kind in typed if kind == "eeg")
        unknown = tuple(name for name, kind in typed if kind == "unknown")
        self.names, self.assumed = eeg or unknown, () if eeg else unknown
        self.others = tuple(name for name in names if name not in self.names)

    @property
    def samples(self) -> int:
        """Number of samples of a channel with the highest rate."""
        return round(self.seconds * self.rate)

    @property
    def places(self) -> dict[str, NDArray[np.float64]]:
        """Positions of electrodes, (3,) in meters, as far as the file gives them."""
        return {}

    @abstractmethod
    def read(self, start: int, stop: int, names: Sequence[str]) -> Reals:
        """Returns samples start to stop of channels of one rate, (C, n), in microvolts.

        Samples are counted at the rate of these channels, and pauses do not count.

        Raises:
            DataError: If the samples are damaged.
        """


def spans_between(pauses: Sequence[tuple[float, float]], seconds: float) -> tuple[Span, ...]:
    """Returns the spans of a recording.

    Args:
        pauses: Where each pause is, in seconds of signal before it, and its length in seconds.
        seconds: Length of the signal.
    """
    spans, clock = list[Span](), 0.0
    at = 0.0
    for before, pause in sorted(
        (before, pause) for before, pause in pauses if 0 < before < seconds
    ):
        if before > at:
            spans.append(Span(clock, before - at, at))
            clock += before - at
        at, clock = before, clock + pause
    return (*spans, Span(clock, seconds - at, at))


def split_spans(
    spans: Sequence[Span], starts: Sequence[float], fields: Sequence[tuple[str, str]]
) -> tuple[Span, ...]:
    """Splits spans where the next recording of a file starts.

    Args:
        spans: Parts without a pause.
        starts: Where each recording starts, in seconds of signal, rising from 0.
        fields: Group and label of each recording.
    """
    parts = []
    stops = (*starts[1:], math.inf)
    for number, (start, stop, (group, label)) in enumerate(zip(starts, stops, fields, strict=True)):
        for span in spans:
            first = max(span.offset, start)
            seconds = min(span.offset + span.seconds, stop) - first
            if seconds > 0:
                clock = span.start + first - span.offset
                parts.append(Span(clock, seconds, first, number, group, label))
    return tuple(parts)


def by_the_clock(at: float, spans: Sequence[Span]) -> float:
    """Turns a time in seconds of signal into the time by the clock."""
    span = max(
        (span for span in spans if span.offset <= at), key=lambda s: s.offset, default=spans[0]
    )
    return span.start + at - span.offset
