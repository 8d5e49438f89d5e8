"""Indexes files in folders: names, labels, groups and splits, without opening any image."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from ..core.errors import DataError
from ..core.index import Index
from ..core.index import LabelSource as LabelSource
from ..core.index import evenly_spaced as evenly_spaced
from .companions import counted_by_ending, masks_among
from .counting import agree, plural
from .label_values import joined_by_bars, spelled_alike
from .labels import read_table
from .layouts import Labeling, Row, from_folders, from_layout
from .targets import understand_labels

_NO_DATA = {
    *("__macosx", "@eadir", "thumbs.db", "desktop.ini", "__pycache__", "$recycle.bin", "#recycle"),
    *("lost+found", "system volume information"),
}  # what systems leave in folders
_PRODUCT = re.compile(r"\.safe/", re.I)  # a folder that is one product, with files on its data
_TABLES = ("labels.csv", "labels.tsv", "labels.txt")


def index_files(
    root: Path,
    suffixes: Collection[str],
    labels: LabelSource | Path | None = None,
    beside: Collection[str] = (),
    label_option: str = "",
) -> Index:
    """Indexes all files below a folder (or the one file) that end in one of `suffixes`.

    Labels come from a table, or `labels.csv` in the folder, or from folders: `train/cat/1.png`,
    `cat/1.png`, `patient/cat/1.png`; a flat folder has none. A file without a group is a group of
    its own, known by its name and size. Files that end in one of `beside` belong to these files.
    With `label_option`, the option of a reader that finds labels itself, no labels are taken from
    the table or the folders, and a remark says so where a table or a layout has some. What was
    assumed and left out is in `Index.remarks`.

    Raises:
        DataError: If there is no such file.
        UsageError: If the table or the layout is wrong.
    """
    source = labels if isinstance(labels, LabelSource) else LabelSource(labels)
    everything = sorted(_scan(root))
    endings = tuple(suffixes)
    files = [entry for entry in everything if entry[0].lower().endswith(endings)]
    if not files:
        listed = counted_by_ending([key for key, _ in everything]) or "nothing"
        raise DataError(
            f"'{root}' has no {', '.join(sorted(suffixes))} files (found: {listed}). "
            "Give --data the folder that holds the images."
        )
    remarks = []
    masks = set() if source.masks else masks_among([key for key, _ in files])
    if 0 < len(masks) < len(files):
        files = [entry for entry in files if entry[0] not in masks]
        are = f"{plural(len(masks), 'mask')} beside the images {agree(len(masks), 'is', 'are')}"
        remarks.append(
            f"{are} left out, such as '{min(masks)}'; --set data.masks=true includes them."
        )
    keys = [key for key, _ in files]
    table = source.table or table_in(root)
    inside = f"{root.name}/" if root.is_dir() else ""
    known = {*keys, *masks, table.name if table else ""}
    others = {
        key
        for key in {key for key, _ in everything} - known
        if not key.lower().endswith(tuple(beside)) and not _PRODUCT.search(f"{inside}{key}")
    }
    remarks += _of_others(others, is_labeled=table is not None)
    labeling = _labeling(root, keys, table, source)
    if label_option:
        labeling = _without_labels(labeling, label_option, bool(table or source.layout))
    labeling = replace(labeling, remarks=(*remarks, *labeling.remarks))
    return _build(files, labeling, source.targets)


def _of_others(names: Collection[str], is_labeled: bool) -> list[str]:
    """Counts files that are not read, and says how one of them becomes the table of labels."""
    if not names:
        return []
    remarks = [f"Files of other endings are not read: {counted_by_ending(names)}."]
    names = () if is_labeled else sorted(name for name in names if "/" not in name)
    tables = [name for name in names if name.lower().endswith((".csv", ".tsv"))]
    spreadsheets = [name for name in names if name.lower().endswith((".xlsx", ".xls", ".ods"))]
    remarks += [f"If '{name}' is a table of labels, give it as --labels." for name in tables]
    remarks += [f"If '{name}' has the labels, save it as labels.csv." for name in spreadsheets]
    return remarks[:2]


def _labeling(root: Path, keys: list[str], table: Path | None, source: LabelSource) -> Labeling:
    """Reads the table, then the folders: by the layout that is asked for, or without a table."""
    layout = source.layout
    if not table:
        return from_layout(keys, layout) if layout else from_folders(keys)
    declared = read_table(table, root, keys, is_given=source.table is not None)
    return declared.over(from_layout(keys, layout)) if layout else declared


def _without_labels(labeling: Labeling, option: str, declared: bool) -> Labeling:
    """Leaves out the labels, which an option of a reader gives.

    Args:
        labeling: From a table or from folders.
        option: The option, for the remark.
        declared: Whether the user declared labels; names of folders are left out without a remark.
    """
    rows = {key: replace(row, label="") for key, row in labeling.rows.items()}
    remarks = labeling.remarks
    if declared and any(row.label for row in labeling.rows.values()):
        source = labeling.origins.get("label", "the layout")
        remarks += (f"Labels are those of {option}; {source} is not used for labels.",)
    return replace(labeling, rows=rows, remarks=remarks)


def _build(files: list[tuple[str, int]], labeling: Labeling, targets: str) -> Index:
    rows = [labeling.rows.get(key, Row()) for key, _ in files]
    labels = understand_labels(joined_by_bars([row.label for row in rows]), targets)
    remarks = [*labeling.remarks, *labels.remarks]
    if alike := spelled_alike(labels.classes):
        listed = ", ".join("/".join(f"'{name}'" for name in names) for names in alike[:3])
        remarks.append(f"Classes differ only in how they are written: {listed}.")
    index = Index.build(
        [key for key, _ in files],
        identities=[f"{key}:{size}" for key, size in files],
        labels=labels.classes,
        groups=[row.group for row in rows],
        splits=[row.split for row in rows],
        remarks=remarks,
    )
    some = {name: any(getattr(row, name) for row in rows) for name in ("group", "split")}
    some["label"] = bool(index.classes) or labels.targets is not None
    origins = {name: words for name, words in labeling.origins.items() if some[name]}
    return replace(index, targets=labels.targets, target_names=labels.names, origins=origins)


def table_in(root: Path) -> Path | None:
    """Returns the table of labels in a folder, None if there is none."""
    if not root.is_dir():
        return None
    names = {entry.name.lower(): Path(entry.path) for entry in _entries(root) if _is_file(entry)}
    return next((names[name] for name in _TABLES if name in names), None)


def walk(root: Path) -> Iterator[str]:
    """Yields the paths of the files below a folder, relative to it; hidden ones are left out.

    A file yields its own name. Folders are listed one at a time, when they are reached, and each
    once, however many links lead to it.
    """
    yield from (key for key, _ in _walk(root))


def _scan(root: Path) -> Iterator[tuple[str, int]]:
    """Yields (path relative to root with "/", bytes) of the files."""
    if root.is_file():
        yield root.name, root.stat().st_size
        return
    for key, entry in _walk(root):
        if entry is not None:
            yield key, _size(entry)


def _walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str] | None]]:
    if root.is_file():
        yield root.name, None
    stack, entered = [root] if root.is_dir() else [], {os.path.realpath(root)}
    while stack:
        for entry in _entries(stack.pop()):
            if entry.name.startswith(".") or entry.name.lower() in _NO_DATA:
                continue
            if _is_folder(entry):
                target = os.path.realpath(entry.path)
                if target not in entered:
                    entered.add(target)
                    stack.append(Path(entry.path))
            else:
                yield Path(entry.path).relative_to(root).as_posix(), entry


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name))
    except OSError as error:
        raise DataError(f"The folder '{folder}' cannot be listed: {error.strerror}.") from error


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # a link to nowhere is an unreadable image like any other
        return 0


def file_path(root: Path, key: str) -> Path:
    """Returns where the file of a key is."""
    return root if root.is_file() else root / key
