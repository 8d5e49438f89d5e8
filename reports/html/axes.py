"""Axes of charts: their range, and the round values at which they have tick marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """The range of an axis and its tick marks.

    Attributes:
        values: Values with a tick mark.
        low: Lower end.
        high: Upper end.
        log: Whether the axis is logarithmic.
    """

    values: list[float]
    low: float
    high: float
    log: bool

    def share(self, value: float) -> float:
        """Maps a value to its position: 0 at the lower end, 1 at the upper end."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def round_steps(low: float, high: float, count: int = 5) -> list[float]:
    """Returns at most `count` + 1 multiples of 1, 2 or 5 times a power of ten in [low, high]."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def linear_axis(values: Sequence[float], zero: bool = False, count: int = 5) -> Axis:
    """Makes an axis around values with a small margin; `zero` includes 0."""
    values = [*values, 0.0] if zero else values
    low, high = min(values), max(values)
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # all values are equal
        margin = abs(high) / 2 or 0.5
        low, high = (low, low + 1) if zero else (low - margin, high + margin)
    margin = 0.06 * (high - low)
    low, high = (low if zero and low == 0 else low - margin), high + margin
    return Axis(round_steps(low, high, count), low, high, log=False)


def log_axis(values: Sequence[float], most: int = 6) -> Axis:
    """Makes a logarithmic axis between round values: powers of ten, or 1, 2 and 5 times them."""
    low, high = math.log10(min(values)), math.log10(max(values))
    if high - low < 2:
        marks = [
            m * 10.0**k for k in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)
        ]
        below = [m for m in marks if m <= 10**low * (1 + 1e-9)]
        above = [m for m in marks if m >= 10**high * (1 - 1e-9)]
        kept = [m for m in marks if below[-1] <= m <= above[0]]
        kept = kept if len(kept) > 1 else [kept[0], kept[0] * 2]
        return Axis(kept, kept[0], kept[-1], log=True)
    powers = range(math.floor(low), math.ceil(high) + 1)
    step = math.ceil(len(powers) / most)
    return Axis([10.0**k for k in powers[::step]], 10.0 ** powers[0], 10.0 ** powers[-1], log=True)


def number(value: float) -> str:
    """Writes a value with three digits: 0.0312, 4.21, 94.4, 1,204, 3.1e-5."""
    size = abs(value)
    if size >= 999.5:
        return f"{value:,.0f}"
    if 0 < size < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.3g}"


def labels(axis: Axis) -> list[str]:
    """Returns a text for each tick mark, with just enough decimals to tell them apart."""
    marks = axis.values
    if axis.log or len(marks) < 2:
        return [number(m) if m < 1e-3 or m >= 1000 else f"{m:g}" for m in marks]
    step = marks[1] - marks[0]
    if step < 1e-4:
        return [number(m if abs(m) > step / 2 else 0) for m in marks]
    return [f"{m:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}" for m in marks]


def tight_axis(values: Sequence[float]) -> Axis:
    """Makes an axis around values without a margin."""
    low, high = min(values), max(values)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    return Axis(round_steps(low, high), low, high, log=False)
