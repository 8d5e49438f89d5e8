"""The base of datasets in files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from ..core.dataset import Dataset
from ..core.errors import DataError
from ..core.index import Index
from .files import file_path, index_files, table_in, walk

T = TypeVar("T")
_LOOKED_AT = 1000  # files of a folder that decide whether a reader accepts it


class FileDataset(Dataset):
    """Base of datasets in files. Each file is an image, unless `prepare` sets another index.

    A reader of tiles, slices or windows calls `super().prepare()`, looks into each file with
    `inspect`, and sets `index` to `files.expand(...)`.

    Attributes:
        suffixes: Endings of the files, in lower case.
        beside: Endings of files that belong to the files, as those in the folder of a .mrxs; they
            are not counted as left out.
        rivals: Endings of files that other datasets read. A folder that has at least as many of
            these among its first 1,000 files is not accepted.
        kind: What a file is called in messages, in the plural.
        naming: Option that gives names to all channels; "" if there is none.
        files: Index of the files.
        faults: Reason why a file cannot be used, by its position in `files`.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    beside: ClassVar[tuple[str, ...]] = ()
    rivals: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str] = "files"
    naming: ClassVar[str] = ""
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
        """Returns the index of the files that end in one of `endings`."""
        return index_files(self.path, self.endings(), self.labels, self.beside)

    def endings(self) -> tuple[str, ...]:
        """Returns the endings of the files: `suffixes`, and others that a reader recognizes."""
        return self.suffixes

    @property
    def declares_labels(self) -> bool:
        """Whether a table or a layout gives labels, so that names of folders are not guessed at."""
        has_table = self.labels_table is not None or table_in(self.path) is not None
        return has_table or "{label}" in self.labels.layout

    def options_for(self, channels: Sequence[str]) -> Mapping[str, Any]:
        """Returns options of this reader that make the images have these channels.

        They choose among the channels that there are, or name channels that have no names yet.

        Args:
            channels: Names in the order that an encoder was trained on.

        Returns:
            Values by option; {} if no option does it.
        """
        return {}

    def details(self) -> Sequence[Sequence[str]]:
        """Returns a table of the files for 'ssl-kit inspect', its heading first; [] for none.

        It may name files, and so it is printed only, and never written to a folder of a run.
        """
        return []

    def warnings(self) -> Iterable[str]:
        """Returns what looks wrong in files or options, a sentence each; asked once at the start.

        'ssl-kit inspect' and a training print it, and `--strict` refuses it.
        """
        return ()

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
            count = f"{len(self.faults)} " if len(self.faults) > 1 else ""
            raise DataError(
                f"None of the {count}{self.kind} in '{self.path}' can be used; "
                f"{self.listed_faults()}."
            )

    def listed_faults(self, most: int = 5) -> str:
        """Returns each reason why files cannot be used, with the first file and their number."""
        files: dict[str, list[str]] = {}
        for file, reason in self.faults.items():
            files.setdefault(reason, []).append(self.name_of(file))
        listed = [
            f"'{names[0]}'{f' (and {len(names) - 1} more)' * (len(names) > 1)} {reason}"
            for reason, names in [*files.items()][:most]
        ]
        more = len(files) - most
        return "; ".join(listed) + (f"; and {more} other reasons" if more > 0 else "")

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
