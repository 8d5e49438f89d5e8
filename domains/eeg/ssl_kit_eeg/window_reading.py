"""Reads a window of a recording with what is around it, filtered and resampled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError

from .recording_config import RecordingConfig
from .signals import Reals, bandpass, dead, is_fast, resampled
from .source_base import Source

_MARGIN = 2.0  # seconds read on both sides of a window, for the filter


@dataclass(frozen=True)
class Filtered:
    """A window with what is around it, filtered and at the common sampling rate.

    Attributes:
        samples: (C, n) microvolts.
        first: Number of the sample at which the window starts.
        dead: (C,) which channels are constant or not finite.
        filled: Whether some samples were no numbers.
    """

    samples: Reals
    first: int
    dead: NDArray[np.bool_]
    filled: bool


def by_rate(source: Source, names: Sequence[str]) -> Iterable[tuple[float, list[int]]]:
    """Yields each sampling rate of some channels in Hz, and the positions of these channels."""
    rates = [source.rate_of(name) for name in names]
    for rate in dict.fromkeys(rates):
        yield rate, [row for row, each in enumerate(rates) if each == rate]


def read_filtered(
    source: Source, start: float, rate: float, names: Sequence[str], options: RecordingConfig
) -> Filtered:
    """Reads a window and up to two seconds around it, within its span.

    Args:
        source: The recording.
        start: Start of the window by the clock, in seconds.
        rate: Sampling rate of the channels in Hz.
        names: C channels of that rate.
        options: Options of the reader.

    Raises:
        DataError: If the samples are damaged, or too slow for the pass band.
    """
    span = source.span_at(start)
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
    finite = np.isfinite(x)
    if not finite.any():
        raise DataError("none of its samples is a number")
    dead_rows = dead(x)
    x = np.where(dead_rows[:, None], 0, x - x.mean(axis=1, keepdims=True))
    x = bandpass(x, rate, *options.band, mirrored=len(source.spans) > 1)
    x = resampled(x, rate, options.resample)
    begin = round((at - first) / rate * options.resample)
    return Filtered(x, begin, dead_rows, not finite.all())
