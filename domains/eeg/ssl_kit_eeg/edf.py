"""Samples and times of EDF, EDF+, BDF and BDF+ files, each channel at its own rate.

https://www.edfplus.info/specs/edfplus.html; MNE brings all channels to one rate, a part at a time,
and counts the records of a file with pauses as if there were none.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError

from .channel_types import microvolts_of, types_of
from .electrodes import canonical
from .lines import was_text
from .source_base import Reals, Source, spans_between
from .tal import Times, times_in

_WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)  # bytes of the fields of a channel
_LABEL, _UNIT, _LOW, _HIGH, _LEAST, _MOST, _COUNT = 0, 2, 3, 4, 5, 6, 8
_CLOSE = 1e-3  # seconds by which records may begin early or late
_LARGE = 2**20  # bytes of a record, above which channels are read one by one


class Header:
    """The header of an EDF or BDF file.

    Attributes:
        labels: Names of the channels; also of those that hold annotations or a status.
        units: Their units.
        counts: (C,) samples of each channel in a record.
        places: (C + 1,) bytes of a record before each channel, and in all.
        scale: (2, C) factor and offset of the stored numbers, in the channel's unit.
        records: Number of records.
        seconds: Length of a record.
        width: Bytes of a sample.
        surplus: Bytes behind the records that the header declares.
        discontinuous: Whether the header declares pauses.
        began: Unix time in seconds, None if there is no date.
    """

    def __init__(self, path: Path) -> None:
        """Reads the header, and compares it with the size of the file.

        Raises:
            DataError: If the header is invalid, or samples are missing.
        """
        with path.open("rb") as file:
            head = file.read(256)
            try:
                self.start, records, channels = (
                    int(head[a:b]) for a, b in ((184, 192), (236, 244), (252, 256))
                )
                length = float(_number(head[244:252]))
                fields = _fields(file.read(256 * max(0, channels)), channels)
                self.counts = np.array([int(text) for text in fields[_COUNT]], np.int64)
                low, high, least, most = (
                    np.array([float(_number(text)) for text in fields[k]])
                    for k in (_LOW, _HIGH, _LEAST, _MOST)
                )
            except ValueError:
                raise DataError("its header is no EDF or BDF header") from None
        self.width = 3 if head[:1] == b"\xff" else 2
        self.places = np.concatenate([[0], np.cumsum(self.counts)]) * self.width
        record = int(self.places[-1])
        invalid = self.start != 256 * (channels + 1) or not record or (self.counts < 0).any()
        if invalid or records < -1 or not 0 <= length < np.inf:
            raise DataError("its header is no EDF or BDF header")
        self.records, self.surplus = self._sized(path, records, record)
        self.seconds = length or 1.0  # 0 if there are annotations only
        self.labels = [text.decode("latin-1").strip() for text in fields[_LABEL]]
        self.units = [text.decode("latin-1").strip() for text in fields[_UNIT]]
        with np.errstate(invalid="ignore"):
            factor = np.where(high == low, 1, high - low) / np.where(most == least, 1, most - least)
            self.scale = np.stack([factor, low - least * factor])
        self.discontinuous = head[192:197] in (b"EDF+D", b"BDF+D")
        self.began = _date(head)

    def _sized(self, path: Path, records: int, record: int) -> tuple[int, int]:
        """Returns the number of records, and of bytes behind those that the header declares."""
        size, declared = path.stat().st_size, self.start + max(records, 1) * record
        if size != declared and was_text(path, self.start, size < declared):
            raise DataError(
                f"has {size} bytes where its header declares {declared}, and its line ends were "
                "changed: was it copied as text? Copy it again in binary mode"
            )
        if size < declared:
            raise DataError(
                f"is cut off: its header declares {max(records, 1)} records of {record} bytes, "
                f"but it is only {size} bytes long"
            )
        return (size - self.start) // record, size - declared if records > 0 else 0


def _fields(text: bytes, channels: int) -> list[list[bytes]]:
    fields, at = [], 0
    for width in _WIDTHS:
        fields.append([text[at + width * c : at + width * (c + 1)] for c in range(channels)])
        at += width * channels
    return fields


def _number(text: bytes) -> bytes:
    return text.split(b"\0")[0].replace(b",", b".")


def _date(head: bytes) -> float | None:
    """Returns the start, of the recording field (EDF+), else of the field with two-digit years."""
    date = None
    parts = head[88:168].decode("latin-1").rstrip().split(" ")
    with suppress(ValueError, IndexError):
        day, month, year = (int(text) for text in head[168:176].split(b"."))
        date = datetime(year + (2000 if year < 85 else 1900), month, day, tzinfo=UTC)
    with suppress(ValueError, IndexError):
        date = datetime.strptime(parts[1], "%d-%b-%Y").replace(tzinfo=UTC)
    if date is None:
        return None
    with suppress(ValueError):
        hour, minute, second = (int(text) for text in head[176:184].split(b"."))
        date = date.replace(hour=hour, minute=minute, second=second)
    return date.timestamp()


class EdfSource(Source):
    """An EDF or BDF recording, whose samples are read when they are needed."""

    def __init__(self, path: Path) -> None:
        """Reads the header and the times of the records.

        Raises:
            DataError: If the header is invalid, or samples or times are missing.
        """
        self._path, self._header = path, Header(path)
        head = self._header
        notes = [c for c, label in enumerate(head.labels) if label in _ANNOTATIONS]
        signals = [
            c
            for c, label in enumerate(head.labels)
            if c not in notes
            and head.counts[c]
            and not (head.width == 3 and label.lower() == "status")
        ]
        labels = [head.labels[c] for c in signals]
        units = [head.units[c] for c in signals]
        names = canonical(labels)
        self._rows = dict(zip((name.lower() for name in names), signals, strict=True))
        self._set_types(names, types_of(labels, units))
        self._factor = {row: microvolts_of(head.units[row]) or 1.0 for row in signals}
        unclear = [
            n for n in self.names if microvolts_of(head.units[self._rows[n.lower()]]) is None
        ]
        if unclear:
            self.remarks += ("the unit of EEG is no voltage; microvolts are assumed",)
        if head.surplus:
            self.remarks += (
                "there are more samples than the header declares; whole records are read",
            )
        self._keep_times(times_in([self._records(c) for c in notes]))

    def _keep_times(self, times: Times) -> None:
        """Sets the spans and the notes, from the times that the records declare."""
        head = self._header
        self.notes, self.began = times.notes, head.began
        if self.began is not None:
            self.began += times.first
        pauses = list[tuple[float, float]]()
        if not self._rows:
            pass
        elif times.onsets is not None:
            pauses = self._pauses(times.onsets, times.step)
        elif head.discontinuous:
            raise DataError("is marked as discontinuous, but its records have no times")
        self.spans = spans_between(pauses, head.records * head.seconds)

    def _pauses(self, onsets: NDArray[np.float64], step: float) -> list[tuple[float, float]]:
        """Returns where the records are apart, in seconds of signal, and by how many seconds."""
        head = self._header
        late = onsets - np.arange(len(onsets)) * head.seconds  # by all pauses before a record
        exact = abs(head.seconds / step - round(head.seconds / step)) < 1e-6
        close = _CLOSE if exact else max(_CLOSE, 1.01 * step)  # onsets may have been rounded
        pauses, so_far = list[tuple[float, float]](), 0.0
        for record in np.flatnonzero(np.abs(np.diff(late, prepend=0)) > close).tolist():
            pauses.append((record * head.seconds, float(late[record]) - so_far))
            so_far = float(late[record])
        if any(pause < 0 for _, pause in pauses):
            if head.discontinuous:
                raise DataError("its records are not in the order of time")
            self.remarks += ("the times of records contradict each other; no pauses are assumed",)
            return []
        if pauses and not head.discontinuous:
            self.remarks += ("the header declares no pauses, but the times of records do",)
        return pauses

    def rate_of(self, name: str) -> float:
        """Returns the sampling rate of a channel in Hz."""
        return float(self._header.counts[self._rows[name.lower()]] / self._header.seconds)

    def read(self, start: int, stop: int, names: Sequence[str]) -> Reals:
        """Reads the records that hold an interval."""
        head = self._header
        rows = [self._rows[name.lower()] for name in names]
        count = int(head.counts[rows[0]])
        first, last = start // count, -(-stop // count)
        out = np.empty((len(rows), stop - start), np.float32)
        block = None
        if head.places[-1] <= _LARGE:
            block = self._block(first, last, 0, int(head.places[-1]))
        for out_row, row in zip(out, rows, strict=True):
            begin, end = int(head.places[row]), int(head.places[row + 1])
            part = self._block(first, last, begin, end) if block is None else block[:, begin:end]
            stored = _integers(part, head.width)[start - first * count : stop - first * count]
            factor, offset = head.scale[:, row]
            out_row[:] = (stored * factor + offset) * self._factor[row]
        return out

    def _records(self, row: int) -> NDArray[np.uint8]:
        """Returns the bytes of a channel in all records, (records, bytes)."""
        head = self._header
        return self._block(0, head.records, int(head.places[row]), int(head.places[row + 1]))

    def _block(self, first: int, last: int, begin: int, end: int) -> NDArray[np.uint8]:
        """Returns bytes begin to end of records first to last, (records, end - begin)."""
        record = int(self._header.places[-1])
        whole = (begin, end) == (0, record)
        try:
            with self._path.open("rb", buffering=-1 if whole else 0) as file:
                parts = []
                for k in [first] if whole else range(first, last):
                    file.seek(self._header.start + k * record + begin)
                    parts.append(file.read((last - first) * record if whole else end - begin))
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}") from error
        content = np.frombuffer(b"".join(parts), np.uint8)
        if len(content) != (last - first) * (end - begin):
            raise DataError("is damaged or cut off")
        return content.reshape(last - first, end - begin)


_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")


def _integers(content: NDArray[np.uint8], width: int) -> NDArray[np.int32]:
    """Turns bytes (records, bytes) into samples (n,): little-endian, of 2 or 3 bytes."""
    if width == 2:
        return np.ascontiguousarray(content).view("<i2").ravel().astype(np.int32)
    wide = np.zeros((content.size // 3, 4), np.uint8)
    wide[:, 1:] = np.ascontiguousarray(content).reshape(-1, 3)
    return np.asarray(wide.view("<i4").ravel() >> 8, np.int32)
