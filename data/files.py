"""Indexes files in folders: names, labels, groups and splits, without opening any image."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.dataset import SPLITS, Index
from ..core.errors import DataError, UsageError

_SPLIT_FOLDERS = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


@dataclass(frozen=True)
class _Row:
    label: str = ""
    group: str = ""
    split: str = ""


def index_files(root: Path, suffixes: Collection[str], labels: Path | None = None) -> Index:
    """Indexes all files below a folder (or the one file) that end in one of `suffixes`.

    Labels come from `labels`, or `labels.csv` in the folder, or folders: `train/cat/1.png`,
    `cat/1.png`; a flat folder has none. A file without a group is a group of its own, known by
    its name and size.

    Raises:
        DataError: If there is no such file.
        UsageError: If the CSV is wrong.
    """
    files = sorted(_scan(root, tuple(suffixes)))
    if not files:
        found = Counter(Path(entry).suffix for entry, _ in _scan(root, ("",)))
        seen = ", ".join(f"{n} {suffix or 'without ending'}" for suffix, n in found.most_common(3))
        raise DataError(
            f"'{root}' has no {', '.join(sorted(suffixes))} files (found: {seen or 'nothing'}). "
            "Give --data the folder that holds the images."
        )
    keys = [key for key, _ in files]
    table = labels or (root / "labels.csv" if (root / "labels.csv").is_file() else None)
    rows = _read_labels(table, keys) if table else _rows_from_folders(keys)
    return Index.build(
        keys,
        identities=[f"{key}:{size}" for key, size in files],
        labels=[rows.get(key, _Row()).label for key in keys],
        groups=[rows.get(key, _Row()).group for key in keys],
        splits=[rows.get(key, _Row()).split for key in keys],
    )


def _scan(root: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yields (path relative to root with "/", bytes) of the files; hidden ones are left out."""
    if root.is_file():
        yield root.name, root.stat().st_size
        return
    stack = [root]
    while stack:
        for entry in _entries(stack.pop()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                stack.append(Path(entry.path))
            elif entry.name.lower().endswith(suffixes):
                yield Path(entry.path).relative_to(root).as_posix(), _size(entry)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"The folder '{folder}' cannot be listed: {error.strerror}.") from error


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # a link to nowhere is an unreadable image like any other
        return 0


def file_path(root: Path, key: str) -> Path:
    """Returns where the file of a key is."""
    return root if root.is_file() else root / key


def _read_labels(table: Path, keys: list[str]) -> dict[str, _Row]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"Cannot read the labels '{table}': {error}.") from error
    if not lines or "path" not in lines[0]:
        raise UsageError(f"'{table}' needs a header with path, and label, group or split.")
    rows: dict[str, _Row] = {}
    for number, line in enumerate(lines, start=2):
        split = _SPLIT_FOLDERS.get((line.get("split") or "").lower(), line.get("split") or "")
        if split not in SPLITS:
            raise UsageError(
                f"'{table}' line {number}: split is train, val or test, not '{split}'."
            )
        rows[line["path"]] = _Row(line.get("label") or "", line.get("group") or "", split)
    absent = sorted(set(rows) - set(keys))
    if absent:
        raise UsageError(
            f"'{table}' names {len(absent)} files that are not there, the first '{absent[0]}'; "
            "paths are relative to the data folder."
        )
    return rows


def _rows_from_folders(keys: list[str]) -> dict[str, _Row]:
    rows = {}
    for key in keys:
        *folders, _ = key.split("/")
        split = _SPLIT_FOLDERS.get(folders[0].lower(), "") if folders else ""
        rest = folders[1:] if split else folders
        rows[key] = _Row(label=rest[0] if rest else "", split=split)
    classes = {row.label for row in rows.values()}
    if len(classes) < 2 or "" in classes:  # one folder, or loose files, is no labeling
        rows = {key: _Row(split=row.split) for key, row in rows.items()}
    return rows
