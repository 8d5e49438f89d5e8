"""Decides on the windows of a recording."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError

from .notes import good_starts, has_labels, labels_of
from .recording_config import RecordingConfig
from .source_base import Facts, Note, Span


@dataclass(frozen=True)
class Cut:
    """Windows of one file.

    Attributes:
        starts: (n,) seconds.
        spans: Span of each window.
        labels: Label of each window by the annotations; [] if they are not used.
        annotated: Whether an annotation is long enough for a label.
        began: Unix time of the file's start in seconds; None if it is not known.
        seconds: Length of the file by the clock.
    """

    starts: NDArray[np.float64]
    spans: list[Span]
    labels: list[str]
    annotated: bool = False
    began: float | None = None
    seconds: float = 0.0


FAULTY = Cut(np.zeros(1), [Span(0, 0, 0)], [""])  # one window, which cannot be read


def windows_of(facts: Facts, options: RecordingConfig, notes: Sequence[Note]) -> Cut:
    """Cuts a recording into windows.

    Args:
        facts: Of the recording.
        options: Of the reader.
        notes: Annotations of the recording, on its clock.

    Raises:
        DataError: If it is too short, or bad throughout.
    """
    starts = np.concatenate([_starts(span, facts.rate, options) for span in facts.spans])
    if not len(starts):
        longest = max(span.seconds for span in facts.spans)
        apart = " without a pause" if len(facts.spans) > 1 else ""
        apart += " or a change of subject or label" if facts.spans[-1].part else ""
        raise DataError(
            f"lasts {longest:.3g} s{apart}, less than data.options.window {options.window:g}"
        )
    starts = good_starts(starts, options.window, notes)
    if not len(starts):
        raise DataError("is annotated as bad throughout")
    spans = [facts.span_at(start) for start in starts.tolist()]
    labels = labels_of(starts, options.window, notes) if options.annotations else []
    seconds = max(span.start + span.seconds for span in facts.spans)
    return Cut(starts, spans, labels, has_labels(notes, options.window), facts.began, seconds)


def _starts(span: Span, rate: float, options: RecordingConfig) -> NDArray[np.float64]:
    """Returns when the windows of a span start, by the clock."""
    stride = options.stride or options.window
    last = span.seconds - options.window + 0.5 / rate
    return span.start + np.arange(max(0, math.floor(last / stride) + 1), dtype=np.float64) * stride
