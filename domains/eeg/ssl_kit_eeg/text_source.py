"""Text with one sample a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_kit import DataError, UsageError
from ssl_kit.data import Table

from .channel_types import types_of
from .clocks import UNITS, clock_without_name, is_no_signal, unit_of_times
from .electrodes import canonical
from .lines import Lines, is_number
from .source_base import Reals, Source, Span, spans_between, split_spans

_SLOWEST, _FASTEST = 20, 30_000  # samples a second of EEG
_STEPS = 50  # lines that tell the unit
_LATE = 1.5  # samples by which a line may be late
_MOST_READ = 2000  # lines, to find pauses


@dataclass(frozen=True)
class _Stretch:
    """Lines first to last, and their times in seconds."""

    first: int
    begin: float
    last: int
    end: float

    def excess(self, rate: float) -> float:
        """Returns by how many seconds it is longer than its samples."""
        return self.end - self.begin - (self.last - self.first) / rate


class TextSource(Source):
    """Text in microvolts: lines are samples, columns are channels, with or without a header.

    Columns that are called as those of labels.csv give the subject and the label of each line. The
    file then holds several recordings: each run of lines with one subject and one label.
    """

    declares_rate = False

    def __init__(self, path: Path, rate: float) -> None:
        self._lines, self._rate = Lines(path, head=1), rate
        fields = self._lines.head[0]
        named = not all(is_number(field) for field in fields)
        self._lines.skip = int(named)
        if not self._lines.count:
            raise DataError("holds no numbers")
        if not named:
            fields = self._names_for(len(fields))
        facts = Table(path, list(fields), [])
        columns = {kind: facts.column(kind) for kind in ("group", "label")} if named else {}
        self._lines.texts = tuple(c for c in columns.values() if c is not None)
        signals = [
            c
            for c, name in enumerate(fields)
            if not is_no_signal(name) and c not in self._lines.texts
        ]
        names = canonical([fields[c] for c in signals])
        self._columns = dict(zip((name.lower() for name in names), signals, strict=True))
        self._set_types(names, types_of([fields[c] for c in signals]))
        width = self._lines.read(0, 1).shape[1]
        if width != len(fields):
            raise DataError(f"has {len(fields)} names for {width} columns")
        if not rate:
            raise UsageError(
                "Text files do not say how many samples there are in a second. Give --set "
                f"data.options.rate=HZ ({self._suggested(fields)})."
            )
        units = {c: unit_of_times(name) for c, name in enumerate(fields)}
        clocks = {c: unit for c, unit in units.items() if unit is not None}
        self.spans = self._spans(clocks, columns.get("group"), columns.get("label"))
        self.remarks = tuple(dict.fromkeys(self.remarks))

    def _names_for(self, count: int) -> list[str]:
        """Returns names for the columns of a file without a header."""
        kind = ""
        if count > 1:
            with suppress(DataError):  # reading the lines gives the reason
                values = self._lines.read(0, min(self._lines.count, _MOST_READ))
                kind = clock_without_name(values[:, 0], self._rate)
        if not kind:
            return ["eeg"] if count == 1 else [f"eeg{c + 1}" for c in range(count)]
        what = "tells the time" if kind == "time" else "counts the lines"
        self.remarks += (
            f"the first column {what} and is no channel; a first line of names says otherwise",
        )
        return [kind, *(["eeg"] if count == 2 else [f"eeg{c + 1}" for c in range(count - 1)])]

    def _suggested(self, fields: Sequence[str]) -> str:
        """Returns what the column of times suggests, else an example."""
        clock = [c for c, name in enumerate(fields) if unit_of_times(name) is not None]
        count = min(self._lines.count, _MOST_READ)
        try:
            times = self._lines.read(0, count)[:, clock[0]] if clock else np.zeros(0)
        except DataError:
            times = np.zeros(0)
        drops = np.flatnonzero(np.diff(times) < 0)  # where the next recording starts
        times = times[: drops[0] + 1] if len(drops) else times
        if len(times) < 2 or times[-1] <= times[0]:
            return "173.61 for the Bonn EEG"
        step = float(times[-1] - times[0]) / (len(times) - 1)
        name = fields[clock[0]].strip()
        rates = [1 / (step * unit) for unit in _units(unit_of_times(name))]
        plausible = [rate for rate in rates if _SLOWEST <= rate <= _FASTEST]
        listed = " or ".join(f"{rate:.5g}" for rate in plausible)
        return f"its column '{name}' suggests {listed}" if listed else f"'{name}' fits no unit"

    def _spans(
        self, clocks: Mapping[int, float], group: int | None, label: int | None
    ) -> tuple[Span, ...]:
        """Returns the parts without a pause, of one subject and one label.

        Args:
            clocks: Numbers and units of the columns of times; the first is read.
            group: Number of the column of subjects.
            label: Number of the column of labels.
        """
        texts, count = self._lines.texts, self._lines.count
        runs = self._lines.runs(texts) if texts else [(0, ())]
        starts = [first for first, _ in runs]
        pauses: list[tuple[float, float]] = []
        for first, stop in zip(starts, [*starts[1:], count], strict=True):
            if clocks and stop - first >= _STEPS:
                pauses += self._pauses(*next(iter(clocks.items())), first, stop - 1)
        spans = spans_between(pauses, count / self._rate)
        if not texts:
            return spans
        self.remarks += (
            "columns give the subject or the label of each line; no window lies across a change",
        )
        rows = [dict[int | None, str](zip(texts, fields, strict=True)) for _, fields in runs]
        facts = [(row.get(group, ""), row.get(label, "")) for row in rows]
        return split_spans(spans, [first / self._rate for first in starts], facts)

    def _pauses(self, column: int, unit: float, first: int, last: int) -> list[tuple[float, float]]:
        """Returns where times of lines are apart, in seconds of signal, and by how many seconds.

        Args:
            column: Number of the column of times.
            unit: Its unit in seconds, 0 if its name does not tell it.
            first: First line of the recording.
            last: Last line of the recording.
        """
        step = float(np.median(np.diff(self._lines.read(first, first + _STEPS)[:, column])))
        unit = next((u for u in _units(unit) if 0.9 < step * u * self._rate < 1.1), 0.0)
        if not unit:
            self.remarks += (
                f"times advance by {step:g} a line, which does not fit data.options.rate "
                f"{self._rate:g}; the rate was taken",
            )
            return []
        begin, end = (self._time(line, column) * unit for line in (first, last))
        whole = _Stretch(first, begin, last, end)
        pauses = self._bisected(whole, column, unit)
        if pauses is None or any(pause < 0 for _, pause in pauses):
            self.remarks += ("times of lines are irregular; no pauses are assumed",)
            return []
        if not pauses and abs(whole.excess(self._rate)) * self._rate >= _LATE:
            measured = (last - first) / (whole.end - whole.begin)
            self.remarks += (
                f"there are {measured:.6g} lines a second by their times; "
                f"data.options.rate {self._rate:g} was taken",
            )
        return pauses

    def _bisected(
        self, whole: _Stretch, column: int, unit: float
    ) -> list[tuple[float, float]] | None:
        """Returns the pauses, None if there are too many; reads only lines where time is late."""
        stretches, pauses = [whole], list[tuple[float, float]]()
        for _ in range(_MOST_READ):
            if not stretches:
                return sorted(pauses)
            part = stretches.pop()
            excess = part.excess(self._rate)
            if abs(excess) * self._rate < _LATE:
                continue
            if part.last - part.first == 1:
                pauses.append((part.last / self._rate, excess))
                continue
            middle = (part.first + part.last) // 2
            time = self._time(middle, column) * unit
            stretches.append(_Stretch(part.first, part.begin, middle, time))
            stretches.append(_Stretch(middle, time, part.last, part.end))
        return None

    def _time(self, line: int, column: int) -> float:
        return float(self._lines.read(line, line + 1)[0, column])

    def rate_of(self, name: str) -> float:
        """Returns the sampling rate in Hz, which all channels have."""
        return self._rate

    def read(self, start: int, stop: int, names: Sequence[str]) -> Reals:
        """Reads lines."""
        table = self._lines.read(start, stop)
        columns = [self._columns[name.lower()] for name in names]
        if len(table) != stop - start or table.shape[1] <= max(columns):
            raise DataError("has been cut off or changed since it was opened")
        return np.ascontiguousarray(table[:, columns].T, dtype=np.float32)


def _units(known: float | None) -> tuple[float, ...]:
    """Returns the units that times may have."""
    return (known,) if known else UNITS
