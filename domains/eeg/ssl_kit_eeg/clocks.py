"""Columns of text files that tell the time of each line, or count the lines."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

UNITS = (1.0, 1e-3, 1e-6, 1e-9)  # of times, in seconds
_WORDS = {
    1.0: ("s", "sec", "secs", "second", "seconds"),
    1e-3: ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    1e-6: ("us", "\N{MICRO SIGN}s", "\N{GREEK SMALL LETTER MU}s", "usec", "microseconds"),
    1e-9: ("ns", "nsec", "nanoseconds"),
    60.0: ("min", "minute", "minutes"),
}
_UNIT_OF = {word: unit for unit, words in _WORDS.items() for word in words}
_TIMES = ("time", "times", "timestamp", "timestamps", "t")
_ALONE = ("ms", "msec", "msecs", "sec", "secs", "seconds", "milliseconds", "microseconds")
_BESIDE = ("in", "unix", "epoch", "utc", "lsl", "elapsed", "relative", "since", "start")
_COUNTS = ("index", "sample", "samples", "sampleindex", "samplenumber")
_LEAST = 50  # lines that tell whether a column without a name is a clock
_SHORT = 32  # lines over which rounded times advance evenly


def unit_of_times(name: str) -> float | None:
    """Returns the unit of a column of times by its name.

    Args:
        name: Name of the column, such as time, Time (s), t [ms] or timestamps.

    Returns:
        The unit in seconds, 0 if the name does not tell it, and None if the column has no times.
    """
    words = [word for word in _words(name) if word not in _BESIDE]
    if len(words) == 1 and words[0] in _ALONE:
        return _UNIT_OF[words[0]]
    unit = _UNIT_OF.get(words[-1], 0.0) if words else 0.0
    return unit if "".join(words[:-1] if unit else words) in _TIMES else None


def is_no_signal(name: str) -> bool:
    """Tells whether a column has times, counts lines, or has no name."""
    words = _words(name)
    return not name.strip() or unit_of_times(name) is not None or "".join(words) in _COUNTS


def clock_without_name(values: NDArray[np.float64], rate: float) -> str:
    """Tells whether the first column of a file without a header tells the time.

    Args:
        values: Its values in the first lines, (n,).
        rate: Lines a second, 0 if it is unknown.

    Returns:
        "time" if it rises by 1 / rate a line, in seconds or a smaller unit, "index" if it counts
        the lines, and "" if it is a channel.
    """
    steps = np.diff(values)
    if len(values) < _LEAST or steps.min() < 0 or values[-1] <= values[0]:
        return ""
    step = float(np.median(values[_SHORT:] - values[:-_SHORT])) / _SHORT
    if not rate or any(0.9 < step * unit * rate < 1.1 for unit in UNITS):
        return "time"
    return "index" if (steps == 1).all() else ""


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name.lower())
