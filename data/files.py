"""Files in folders: their names, labels, groups and splits, and the base of readers of files."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np

from ..core.dataset import Dataset
from ..core.errors import DataError, UsageError
from ..core.index import SPLITS, Index
from ..core.index import evenly_spaced as evenly_spaced

T = TypeVar("T")
_LOOKED_AT = 1000  # files of a folder that decide whether a reader accepts it
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


class FileDataset(Dataset):
    """Base of datasets in files. Each file is an image, unless `prepare` sets another index.

    A reader of tiles, slices or windows calls `super().prepare()`, looks into each file with
    `inspect`, and sets `index` to `files.expand(...)`.

    Attributes:
        suffixes: Endings of the files, in lower case.
        rivals: Endings of files that other datasets read. A folder that has at least as many of
            these among its first 1,000 files is not accepted.
        kind: What a file is called in messages, in the plural.
        files: Index of the files.
        faults: Reason why a file cannot be used, by its position in `files`.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    rivals: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str] = "files"
    files: Index
    faults: dict[int, str]

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is such a file, or a folder in which such files prevail."""
        names = (Path(key).name.lower() for key in walk(path))
        if not cls.rivals:
            return any(name.endswith(cls.suffixes) for name in names)
        first = list(islice(names, _LOOKED_AT))
        count = sum(name.endswith(cls.suffixes) and name != "labels.csv" for name in first)
        return count > sum(name.endswith(cls.rivals) for name in first)

    def prepare(self) -> None:
        """Indexes the files."""
        self.faults = {}
        self.index = self.files = self.find_files()

    def find_files(self) -> Index:
        """Returns the index of the files that end in one of `suffixes`."""
        return index_files(self.path, self.suffixes, self.labels_table)

    @property
    def has_labels_table(self) -> bool:
        """Whether labels come from a CSV, not from the names of folders."""
        return self.labels_table is not None or (self.path / "labels.csv").is_file()

    def path_of(self, file: int) -> Path:
        """Returns the path of a file."""
        return file_path(self.path, self.files.key(file))

    def name_of(self, file: int) -> str:
        """Returns the name of a file in messages."""
        return self.files.key(file)

    def declared_group(self, file: int) -> str:
        """Returns the group that labels.csv declares for a file, "" if it declares none."""
        group = self.files.group(file)
        return "" if group.startswith(f"{self.files.key(file)}:") else group  # name and size

    def inspect(
        self, look: Callable[[int], T], chosen: Iterable[int] | None = None
    ) -> dict[int, T]:
        """Looks into files, and notes in `faults` why some of them cannot be used.

        Args:
            look: Takes the position of a file; raises DataError if the file cannot be used.
            chosen: Positions of the files, all if left out.

        Returns:
            What `look` returned, by file.

        Raises:
            DataError: If no file can be used.
        """
        facts: dict[int, T] = {}
        for file in range(len(self.files)) if chosen is None else chosen:
            try:
                facts[file] = look(file)
            except DataError as error:
                self.faults[file] = str(error)
        self.refuse_if_all_fail(facts)
        return facts

    def refuse_if_all_fail(self, usable: Collection[int]) -> None:
        """Raises DataError if there are faults and no file is usable."""
        if self.faults and not usable:
            first = next(iter(self.faults))
            raise DataError(
                f"None of the {len(self.faults)} {self.kind} in '{self.path}' can be used; "
                f"'{self.name_of(first)}' {self.faults[first]}."
            )

    def refuse_faulty(self, file: int) -> None:
        """Raises DataError with the reason if a file cannot be used."""
        if file in self.faults:
            raise DataError(self.faults[file])


def most_frequent_kind(kinds: Sequence[str], files: str, root: Path) -> str:
    """Returns the kind that more than half of the images are of.

    Args:
        kinds: Kind of each image, such as "4-band uint16".
        files: What holds the images, in the plural, for the message.
        root: Folder of the images, for the message.

    Raises:
        DataError: If no kind prevails, because one encoder takes one kind.
    """
    counts = Counter(kinds).most_common()
    kind, most = counts[0]
    if len(counts) > 1 and 2 * most <= len(kinds):
        listed = ", ".join(f"{n} {name}" for name, n in counts[:4])
        raise DataError(
            f"The {files} in '{root}' are of {len(counts)} kinds ({listed}), and one encoder takes "
            "one kind. Give --data one file, or a folder for each kind."
        )
    return kind


def parents_of(parts: Sequence[Sequence[object] | np.ndarray]) -> np.ndarray:
    """Returns the number of the sequence that each part is in, (n,): for `Index.expand`."""
    return np.repeat(np.arange(len(parts)), [len(each) for each in parts])


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
        count = Counter(Path(entry).suffix for entry in walk(root))
        others = ", ".join(f"{n} {end or 'without ending'}" for end, n in count.most_common(3))
        raise DataError(
            f"'{root}' has no {', '.join(sorted(suffixes))} files (found: {others or 'nothing'}). "
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


def walk(root: Path) -> Iterator[str]:
    """Yields the paths of the files below a folder, relative to it; hidden ones are left out.

    A file yields its own name. Folders are listed one at a time, when they are reached.
    """
    yield from (key for key, _ in _walk(root))


def _scan(root: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yields (path relative to root with "/", bytes) of the files with these endings."""
    if root.is_file():
        yield root.name, root.stat().st_size
        return
    for key, entry in _walk(root):
        if entry is not None and key.lower().endswith(suffixes):
            yield key, _size(entry)


def _walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str] | None]]:
    if root.is_file():
        yield root.name, None
    stack = [root] if root.is_dir() else []
    while stack:
        for entry in _entries(stack.pop()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                stack.append(Path(entry.path))
            else:
                yield Path(entry.path).relative_to(root).as_posix(), entry


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
        below = folders[1:] if split else folders
        rows[key] = _Row(label=below[0] if below else "", split=split)
    classes = {row.label for row in rows.values()}
    if len(classes) < 2 or "" in classes:  # one folder, or loose files, is no labeling
        rows = {key: _Row(split=row.split) for key, row in rows.items()}
    return rows
