"""Finds the files that a table names, however their paths are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path


class KeyFinder:
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
