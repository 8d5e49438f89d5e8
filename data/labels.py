"""Labels, groups and splits from a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..core.errors import UsageError
from ..core.index import SPLITS
from .counting import agree, plural
from .key_finder import KeyFinder
from .label_values import without_missing
from .layouts import Labeling, Part, Row, split_named
from .table import Table, read_text_table
from .targets import NONE

_YES, _NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no"}


def read_table(path: Path, root: Path, keys: Sequence[str], is_given: bool = False) -> Labeling:
    """Reads a table of labels as people write it.

    Commas, semicolons or tabs separate the columns; UTF-8, UTF-16 or Latin-1 encode the text.
    Paths may be relative to the data folder or absolute, with slashes or backslashes.

    Args:
        path: The table.
        root: Folder of the data.
        keys: Of the files, relative to `root`.
        is_given: Whether the user named the table, which must be of use then.

    Raises:
        UsageError: If it cannot be read, lacks a column of paths, names files that are not there,
            or contradicts itself; if it is given and has no label, group or split.
    """
    table = read_text_table(path)
    files = table.column("path")
    if files is None:
        raise UsageError(
            f"'{path}' needs a column of paths, called path, file or image (docs/labels.md has all "
            f"names); it has {', '.join(name.strip() for name in table.header) or 'no header'}."
        )
    columns = {kind: table.column(kind) for kind in ("label", "group", "split")}
    used = [files, *columns.values()]
    indicators = [] if columns["label"] is not None else _indicators(table, set(used))
    table.name_unused([*used, *indicators])
    if not indicators and set(columns.values()) == {None}:
        useless = (
            f"'{path.name}' has no column called label, class, target, group, patient, subject, "
            f"case, slide or split; it has {', '.join(name.strip() for name in table.header)}."
        )
        if is_given:
            raise UsageError(f"{useless} Rename the column that you mean.")
        table.remarks.append(useless)
    _empty_missing(table, columns)
    finder = KeyFinder(root, keys)
    keys_of_lines = _found(path, finder, [line[files] for line in table.lines])
    rows, parts = _collect(table, columns, indicators, keys_of_lines)
    if parts:
        table.remarks.append(_of_parts(len(parts), path.name))
    origins = {
        kind: f"column {table.header[column].strip()} of {path.name}"
        for kind, column in columns.items()
        if column is not None
    }
    if indicators:
        origins["label"] = f"{plural(len(indicators), 'column')} of 0 and 1 of {path.name}"
    absent_rows = len(keys) - len(rows)
    if absent_rows:
        have = f"{plural(len(keys), 'file')} {agree(absent_rows, 'has', 'have')}"
        table.remarks.append(f"{absent_rows} of {have} no row in '{path.name}'.")
    return Labeling(rows, (*table.remarks, *finder.remarks), tuple(parts), origins)


def _empty_missing(table: Table, columns: Mapping[str, int | None]) -> None:
    """Empties the cells whose text means that a value is missing, and remarks on them."""
    for kind, column in columns.items():
        if column is not None:
            cells = [line[column].strip() for line in table.lines]
            values, remarks = without_missing(cells, kind)
            for line, value in zip(table.lines, values, strict=True):
                line[column] = value
            table.remarks += remarks


def _of_parts(rows: int, table: str) -> str:
    return (
        f"{plural(rows, 'row')} of '{table}' {agree(rows, 'has', 'have')} x and y: the label is of "
        "the part of a file at this place, and not of the file. Rename these columns if whole "
        "files are labeled."
    )


def _found(path: Path, finder: KeyFinder, names: Sequence[str]) -> list[str]:
    """Returns the key of the file of each line.

    Raises:
        UsageError: If files are not there.
    """
    keys = finder.find(names)
    absent = [name for name, key in zip(names, keys, strict=True) if key is None]
    if absent:
        nearest = finder.nearest.get(absent[0])
        hint = f" '{nearest}' has the same name, but is in another folder." if nearest else ""
        raise UsageError(
            f"'{path}' names {plural(len(absent), 'file')} not there, the first "
            f"'{absent[0].strip()}'; paths are relative to the data folder, or absolute.{hint}"
        )
    return [key or "" for key in keys]


def _collect(
    table: Table,
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


def _indicators(table: Table, used: set[int | None]) -> list[int]:
    """Returns the columns of 0 and 1, one per class; none if there are less than two."""
    columns = [
        i
        for i in range(len(table.header))
        if i not in used and _is_indicator({line[i].strip().lower() for line in table.lines})
    ]
    return columns if len(columns) > 1 else []


def _is_indicator(values: set[str]) -> bool:
    return len(values) == 2 and bool(values & _YES) and bool(values & _NO)


def _row(
    path: Path,
    number: int,
    line: Sequence[str],
    columns: Mapping[str, int | None],
    indicators: Sequence[tuple[str, str]],
) -> Row:
    values = {kind: "" if i is None else line[i] for kind, i in columns.items()}
    flags = [name.strip() for name, value in indicators if value.strip().lower() in _YES]
    values["label"] = values["label"] or "|".join(flags) or (NONE if indicators else "")
    split = split_named(values["split"]) or values["split"]
    if split not in SPLITS:
        raise UsageError(
            f"'{path}' line {number}: split is train, val or test, not '{split}'. Write these "
            "words, or give the column another name if it is no split."
        )
    return Row(values["label"], values["group"], split)


def _shown(row: Row) -> str:
    return "/".join(part for part in (row.label, row.group, row.split) if part) or "nothing"
