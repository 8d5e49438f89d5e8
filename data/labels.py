"""Labels, groups and splits from a table."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from ..core.errors import UsageError
from ..core.index import SPLITS
from .layouts import SPLIT_NAMES, Labeling, Row

_NAMES = {
    "path": "path file filename file_name filepath file_path image image_path image_name img",
    "label": "label class target class_name category diagnosis",
    "group": "group patient patient_id subject subject_id slide slide_id scene participant_id",
    "split": "split set fold subset partition",
}
COLUMNS = {kind: tuple(names.split()) for kind, names in _NAMES.items()}
"""Names of columns, in lower case and with underscores for blanks; earlier ones win."""

MISSING = {"", "nan", "na", "n/a", "none", "null", "<na>"}
_ENCODINGS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))


@dataclass
class _Table:
    """A table as it was read: its header, its lines, and how it was read."""

    path: Path
    header: list[str]
    lines: list[list[str]]
    remarks: list[str] = field(default_factory=list)

    def coordinate(self) -> int | None:
        """Returns the number of the column x, where rows with x and y label parts of files."""
        names = [name.strip().lower() for name in self.header]
        return names.index("x") if {"x", "y"} <= set(names) else None

    def column(self, kind: str) -> int | None:
        """Returns the number of the column of a kind, None if there is none."""
        names = [re.sub(r"\W+", "_", name.strip().lower()).strip("_") for name in self.header]
        there = [name for name in COLUMNS[kind] if name in names]
        if len(there) > 1:
            self.remarks.append(
                f"'{self.path.name}' has the columns {' and '.join(there)}; '{there[0]}' is taken "
                f"for the {kind}."
            )
        return names.index(there[0]) if there else None


def read_table(path: Path, root: Path, keys: Sequence[str]) -> Labeling:
    """Reads a table of labels as people write it.

    Commas, semicolons or tabs separate the columns; UTF-8, UTF-16 or Latin-1 encode the text.
    Paths may be relative to the data folder or absolute, with slashes or backslashes.

    Args:
        path: The table.
        root: Folder of the data.
        keys: Of the files, relative to `root`.

    Raises:
        UsageError: If it cannot be read, lacks a column of paths, names files that are not there,
            or contradicts itself.
    """
    table = _read(path)
    files = table.column("path")
    if files is None:
        raise UsageError(
            f"'{path}' needs a column of paths, called path, file, filename or image; it has "
            f"{', '.join(name.strip() for name in table.header) or 'no header'}."
        )
    columns = {kind: table.column(kind) for kind in ("label", "group", "split")}
    _suggest(table, columns)
    indicators = (
        [] if columns["label"] is not None else _indicators(table, {files, *columns.values()})
    )
    key_of = _KeyFinder(root, keys)
    rows: dict[str, Row] = {}
    absent: list[str] = []
    part = table.coordinate()
    for number, line in enumerate(table.lines, start=2):
        if part is not None and line[part].strip():
            continue  # a row of a part of a file, which its reader labels
        key = key_of(line[files])
        if key is None:
            absent.append(line[files].strip())
            continue
        row = _row(path, number, line, columns, [(table.header[i], line[i]) for i in indicators])
        if rows.setdefault(key, row) != row:
            raise UsageError(
                f"'{path}' line {number}: '{key}' has two rows that differ, {_shown(rows[key])} "
                f"and {_shown(row)}. Keep one of them."
            )
    if absent:
        raise UsageError(
            f"'{path}' names {len(absent)} files that are not there, the first '{absent[0]}'; "
            "paths are relative to the data folder, or absolute."
        )
    return Labeling(rows, (*table.remarks, *key_of.remarks))


def _read(path: Path) -> _Table:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read the labels '{path}': {error.strerror}.") from error
    remarks = []
    encoding = next((name for mark, name in _ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if b"\0" in content or content.startswith(b"\x89"):
            raise UsageError(f"Cannot read the labels '{path}': it is no text.") from error
        text = content.decode("cp1252", errors="replace")
        remarks.append(f"'{path.name}' is no UTF-8; it is read as Latin-1.")
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    try:
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=separator) if any(line)]
    except csv.Error as error:
        raise UsageError(f"Cannot read the labels '{path}': {error}.") from error
    if len(lines) < 2:
        raise UsageError(f"'{path}' needs a header with path, and label, group or split.")
    header, *rest = lines
    rest = [[*line, *[""] * (len(header) - len(line))] for line in rest]
    return _Table(path, header, rest, remarks)


def _suggest(table: _Table, columns: Mapping[str, int | None]) -> None:
    """Says where an unknown column may be a misspelled one."""
    known = {name: kind for kind, names in COLUMNS.items() for name in names}
    for name in table.header:
        plain = name.strip().lower()
        close = get_close_matches(plain, known, n=1, cutoff=0.8) if plain not in known else []
        if close and columns.get(known[close[0]]) is None:
            table.remarks.append(
                f"The column '{name.strip()}' of '{table.path.name}' is not used. "
                f"Did you mean '{close[0]}'?"
            )
    if columns["label"] is None and columns["group"] is None and columns["split"] is None:
        table.remarks.append(
            f"'{table.path.name}' has no column called label, class, target, group or split; it "
            f"has {', '.join(name.strip() for name in table.header)}."
        )


def _indicators(table: _Table, used: set[int | None]) -> list[int]:
    """Returns the columns of 0 and 1, one per class; none if there are less than two."""
    columns = [
        i
        for i in range(len(table.header))
        if i not in used and {line[i].strip() for line in table.lines} == {"0", "1"}
    ]
    return columns if len(columns) > 1 else []


def _row(
    path: Path,
    number: int,
    line: Sequence[str],
    columns: Mapping[str, int | None],
    indicators: Iterable[tuple[str, str]],
) -> Row:
    values = {
        kind: "" if i is None or line[i].strip().lower() in MISSING else line[i].strip()
        for kind, i in columns.items()
    }
    values["label"] = values["label"] or "|".join(
        name.strip() for name, value in indicators if value.strip() == "1"
    )
    split = SPLIT_NAMES.get(values["split"].lower(), values["split"])
    if split not in SPLITS:
        raise UsageError(f"'{path}' line {number}: split is train, val or test, not '{split}'.")
    return Row(values["label"], values["group"], split)


def _shown(row: Row) -> str:
    return "/".join(part for part in (row.label, row.group, row.split) if part) or "nothing"


class _KeyFinder:
    """Finds the file that a table means.

    Args:
        root: Folder of the data.
        keys: Of the files, relative to it.
    """

    def __init__(self, root: Path, keys: Sequence[str]) -> None:
        self._root, self._keys = root.resolve(), set(keys)
        self.remarks: list[str] = []
        self._by_name: dict[str, str | None] | None = None

    def __call__(self, text: str) -> str | None:
        """Returns the key of the file that a text names, None if there is none."""
        for form in _forms(text.strip()):
            if form in self._keys:
                return form
            if Path(form).is_absolute():
                inside = self._inside(Path(form))
                if inside in self._keys:
                    return inside
        return self._with_the_name_of(text.strip())

    def _inside(self, path: Path) -> str:
        for base, target in ((self._root, path), (self._root, path.resolve())):
            if target.is_relative_to(base):
                return target.relative_to(base).as_posix()
        return ""

    def _with_the_name_of(self, text: str) -> str | None:
        """Returns the one file of that name, with or without its ending, in whatever folder."""
        if self._by_name is None:
            self._by_name = {}
            for each in self._keys:
                name = each.rpartition("/")[2]
                for form in {name, name.partition(".")[0]}:
                    self._by_name[form] = None if form in self._by_name else each
        key = self._by_name.get(re.split(r"[/\\]", text)[-1])
        if key is not None and not self.remarks:
            self.remarks.append(
                f"Files are found by their names alone, such as '{text}' for '{key}'."
            )
        return key


def _forms(text: str) -> list[str]:
    """Returns the spellings of a path to look for, the one that was written first."""
    slashes = text.replace("\\", "/")
    return list(dict.fromkeys([text, *(re.sub(r"^(\./)+", "", form) for form in (text, slashes))]))


def several_labels(labels: Iterable[str]) -> int:
    """Counts images with several labels, joined by a bar: "cat|dog"."""
    return sum("|" in label for label in labels)


def are_numbers(labels: Iterable[str]) -> bool:
    """Tells whether labels are measured numbers and not classes: fractions, or hardly one twice."""
    values = [label for label in labels if label]
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return False
    fractions = any(math.isfinite(number) and number != int(number) for number in numbers)
    return len(set(values)) > 2 and (fractions or len(set(values)) > max(50, len(values) / 2))
