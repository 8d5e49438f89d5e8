"""Text files with one sample a line, read by number of line without reading all of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError

_BLOCK = 2**20  # bytes read at once
_APART = 1024  # lines between two known offsets
_MOST_COLUMNS = 1024
_BESIDE_COMMAS = (";", "\t")  # delimiters with which 1,5 is a number
_MANY = 16  # line feeds that are not all behind a carriage return by chance


class Lines:
    """A text file with numbers.

    Attributes:
        head: First lines, split into fields, which need not be numbers.
        skip: Number of lines before the first sample.
        texts: Numbers of columns that need not hold numbers; they are read as 0.
        count: Number of lines after the first `skip`.
    """

    def __init__(self, path: Path, head: int) -> None:
        """Counts the lines in one pass with little memory.

        Args:
            path: Path of the file.
            head: Number of lines kept in `head`.

        Raises:
            DataError: If the file is empty or no text.
        """
        self._path = path
        try:
            self._scan()
            with path.open("rb") as file:
                first = [file.readline(_BLOCK) for _ in range(head)]
        except OSError as error:
            raise DataError(f"cannot be opened: {error.strerror or error}") from error
        text = [line.decode("utf-8-sig", errors="replace").strip() for line in first]
        self._delimiter = next((mark for mark in ";\t," if mark in text[-1] or mark in text[0]), "")
        self.head = [self._split(line) for line in text]
        self.skip = 0
        self.texts: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """Number of lines after the first `skip`."""
        return max(0, self._lines - self.skip)

    def _scan(self) -> None:
        """Finds where every 1024th line begins, and the number of lines."""
        end, lines, starts = _end_of_text(self._path), 0, [np.zeros(1, np.int64)]
        if not end:
            raise DataError("the file is empty")
        with self._path.open("rb") as file:
            for at in range(0, end, _BLOCK):
                block = np.frombuffer(file.read(min(_BLOCK, end - at)), np.uint8)
                if not block.all():
                    raise DataError("is no text: it holds zero bytes")
                breaks = np.flatnonzero(block == ord("\n"))
                if len(block) == _BLOCK and not len(breaks):
                    raise DataError(f"is no table: a line is longer than {_BLOCK} bytes")
                chosen = breaks[-(lines + 1) % _APART :: _APART]  # a line begins behind each
                starts.append(at + chosen.astype(np.int64) + 1)
                lines += len(breaks)
        self._starts, self._lines = np.concatenate(starts), lines + 1

    def _split(self, line: str) -> list[str]:
        fields = [field.strip().strip('"') for field in line.split(self._delimiter or None)]
        if self._delimiter in _BESIDE_COMMAS:
            fields = [_with_point(field) for field in fields]
        if len(fields) > _MOST_COLUMNS:
            raise DataError(f"has {len(fields)} columns; up to {_MOST_COLUMNS} are read")
        return fields

    def runs(self, columns: Sequence[int]) -> list[tuple[int, tuple[str, ...]]]:
        """Returns the first line of each run of lines with equal fields, and these fields.

        Args:
            columns: Numbers of the columns whose fields are compared.

        Raises:
            DataError: If a line has fewer columns.
        """
        runs: list[tuple[int, tuple[str, ...]]] = []
        with self._path.open(encoding="utf-8-sig", errors="replace") as file:
            for number, line in enumerate(islice(file, self.skip, self._lines)):
                fields = line.split(self._delimiter or None)
                if len(fields) <= max(columns):
                    raise DataError(f"its line {number + self.skip + 1} has too few columns")
                values = tuple(fields[column].strip().strip('"').strip() for column in columns)
                if not runs or values != runs[-1][1]:
                    runs.append((number, values))
        return runs

    def read(self, start: int, stop: int) -> NDArray[np.float64]:
        """Returns lines start to stop, counted after the first `skip`, (n, columns).

        Raises:
            DataError: If they are not numbers.
        """
        first, last = start + self.skip, min(stop + self.skip, self._lines)
        try:
            with self._path.open("rb") as file:
                file.seek(int(self._starts[first // _APART]))
                for _ in range(first % _APART):
                    file.readline(_BLOCK)
                text = [file.readline(_BLOCK) for _ in range(last - first)]
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}") from error
        lines = [line.decode("utf-8-sig", errors="replace") for line in text]
        if self._delimiter in _BESIDE_COMMAS:
            lines = [line.replace(",", ".") for line in lines]
        try:
            return np.loadtxt(
                lines,
                delimiter=self._delimiter or None,
                comments=None,
                ndmin=2,
                converters=dict.fromkeys(self.texts, _zero),
            )
        except ValueError:
            raise DataError(
                f"its lines {first + 1} to {last} are not numbers in equal columns"
            ) from None


def _with_point(field: str) -> str:
    """Returns a number with a decimal comma with a point; other fields stay as they are."""
    number = field.replace(",", ".")
    return number if is_number(number) else field


def _zero(field: str) -> float:
    return 0.0


def _end_of_text(path: Path) -> int:
    """Returns the number of bytes before the blank end of a file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _BLOCK))
        return max(0, size - _BLOCK) + len(file.read(_BLOCK).rstrip())


def was_text(path: Path, start: int, shorter: bool) -> bool:
    """Tells whether a binary file was copied as text: its line ends or its letters were replaced.

    In random bytes one line feed in 256 stands behind a carriage return.

    Args:
        path: Path of the file.
        start: Byte at which the samples begin.
        shorter: Whether the file is shorter than it should be, not longer.
    """
    with path.open("rb") as file:
        file.seek(start)
        content = file.read(_BLOCK)
    feeds, pairs = content.count(b"\n"), content.count(b"\r\n")
    if shorter:
        return 1000 * pairs < feeds and len(content) >= _BLOCK / 2
    unknown = content.count("\N{REPLACEMENT CHARACTER}".encode())
    return unknown >= _MANY or (pairs == feeds and feeds >= _MANY)


def is_number(text: str) -> bool:
    """Tells whether a field is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
