"""Labels, groups and splits from a table."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from ..core.errors import UsageError
from ..core.index import SPLITS
from .key_finder import KeyFinder
from .layouts import SPLIT_NAMES, Labeling, Part, Row
from .targets import NONE

_NAMES = {
    "path": "path file filename file_name filepath file_path image image_path image_name img",
    "label": "label class target class_name category diagnosis",
    "group": "group patient patient_id subject subject_id slide slide_id scene participant_id",
    "split": "split set fold subset partition",
}
COLUMNS = {kind: tuple(names.split()) for kind, names in _NAMES.items()}
"""Names of columns, in lower case and with underscores for blanks; earlier ones win."""

MISSING = {"", "nan", "na", "n/a", "null", "<na>"}
_ENCODINGS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))


@dataclass
class _Table:
    """A table as it was read: its header, its lines, and how it was read."""

    path: Path
    header: list[str]
    lines: list[list[str]]
    remarks: list[str] = field(default_factory=list)

    def coordinates(self, line: Sequence[str]) -> tuple[str, str] | None:
        """Returns x and y of a line that labels a part of a file, None if it labels all of it."""
        names = [name.strip().lower() for name in self.header]
        if not {"x", "y"} <= set(names):
            return None
        x, y = (line[names.index(name)].strip() for name in "xy")
        return (x, y) if x or y else None

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
    key_of = KeyFinder(root, keys)
    keys_of_lines = [key_of(line[files]) for line in table.lines]
    absent = [
        line[files].strip()
        for line, key in zip(table.lines, keys_of_lines, strict=True)
        if key is None
    ]
    if absent:
        raise UsageError(
            f"'{path}' names {len(absent)} files that are not there, the first '{absent[0]}'; "
            "paths are relative to the data folder, or absolute."
        )
    rows, parts = _collect(table, columns, indicators, [key or "" for key in keys_of_lines])
    if parts:
        table.remarks.append(
            f"{len(parts)} rows of '{path.name}' have x and y: they label the part of a file at "
            "this place, and not the file. Rename these columns if they label whole files."
        )
    origins = {
        kind: f"column {table.header[column].strip()} of {path.name}"
        for kind, column in columns.items()
        if column is not None
    }
    if indicators:
        origins["label"] = f"{len(indicators)} columns of 0 and 1 of {path.name}"
    return Labeling(rows, (*table.remarks, *key_of.remarks), tuple(parts), origins)


def _collect(
    table: _Table,
    columns: Mapping[str, int | None],
    indicators: Sequence[int],
    keys: Sequence[str],
) -> tuple[dict[str, Row], list[Part]]:
    """Returns the rows of files and of parts of files.

    Args:
        table: The table.
        columns: Number of the column of each kind.
        indicators: Numbers of the columns of 0 and 1.
        keys: File of each line.
    """
    rows: dict[str, Row] = {}
    of_parts: dict[str, Row] = {}
    parts: list[Part] = []
    for number, (key, line) in enumerate(zip(keys, table.lines, strict=True), start=2):
        flags = [(table.header[i], line[i]) for i in indicators]
        row = _row(table.path, number, line, columns, flags)
        several, place = rows, table.coordinates(line)
        if place:  # the reader labels the part of the file
            parts.append(Part(key, number, *place, row.label))
            row, several = replace(row, label=""), of_parts
        if several.setdefault(key, row) != row:
            raise _differing(table.path, number, key, several[key], row)
    for key, row in of_parts.items():
        rows[key] = _with_part(table.path, key, rows.get(key, Row()), row)
    return rows, parts


def _differing(path: Path, number: int, key: str, row: Row, other: Row) -> UsageError:
    return UsageError(
        f"'{path}' line {number}: '{key}' has two rows that differ, {_shown(row)} "
        f"and {_shown(other)}. Keep one of them."
    )


def _with_part(path: Path, key: str, row: Row, part: Row) -> Row:
    """Adds the group and the split that the rows of parts of a file declare for the file."""
    merged = Row(row.label, row.group or part.group, row.split or part.split)
    if (part.group or merged.group, part.split or merged.split) != (merged.group, merged.split):
        raise UsageError(
            f"'{path}' declares two groups or splits of '{key}', {_shown(row)} in its own row and "
            f"{_shown(part)} in rows with x and y. Keep one of them."
        )
    return merged


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
    indicators: Sequence[tuple[str, str]],
) -> Row:
    values = {
        kind: "" if i is None or _is_missing(line[i].strip()) else line[i].strip()
        for kind, i in columns.items()
    }
    flags = [name.strip() for name, value in indicators if value.strip() == "1"]
    values["label"] = values["label"] or "|".join(flags) or (NONE if indicators else "")
    split = SPLIT_NAMES.get(values["split"].lower(), values["split"])
    if split not in SPLITS:
        raise UsageError(f"'{path}' line {number}: split is train, val or test, not '{split}'.")
    return Row(values["label"], values["group"], split)


def _is_missing(value: str) -> bool:
    """Tells whether a value is missing. Python writes None; a class may be called none."""
    return value == "None" or value.lower() in MISSING


def _shown(row: Row) -> str:
    return "/".join(part for part in (row.label, row.group, row.split) if part) or "nothing"
