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
        self._by_end: dict[str, str | None] | None = None

    def __call__(self, text: str) -> str | None:
        """Returns the key of the file that a text names, None if there is none."""
        for form in _forms(text.strip()):
            if form in self._keys:
                return form
            if Path(form).is_absolute():
                inside = self._inside(Path(form))
                if inside in self._keys:
                    return inside
        return self._ending_like(text.strip())

    def _inside(self, path: Path) -> str:
        for base, target in ((self._root, path), (self._root, path.resolve())):
            if target.is_relative_to(base):
                return target.relative_to(base).as_posix()
        return ""

    def _ending_like(self, text: str) -> str | None:
        """Returns the one file whose path ends like a text, which may lack the ending.

        Other folders before it, and capitals, do not count.
        """
        if self._by_end is None:
            self._by_end = {}
            for key in self._keys:
                forms = (key, re.sub(r"\.[^./]*$", "", key), re.sub(r"\.[^/]*$", "", key))
                for end in {end for form in forms for end in _ends(form)}:
                    self._by_end[end] = None if end in self._by_end else key
        found = next((self._by_end[end] for end in _ends(text) if end in self._by_end), None)
        if found is not None and not self.remarks:
            self.remarks.append(
                f"Files are found by the ends of their paths, such as '{text}' for '{found}'."
            )
        return found


def _ends(path: str) -> list[str]:
    """Returns the ends of a path in lower case, the longest first."""
    parts = re.split(r"[/\\]+", path.lower())
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _forms(text: str) -> list[str]:
    """Returns the spellings of a path to look for, the one that was written first."""
    slashes = text.replace("\\", "/")
    return list(dict.fromkeys([text, *(re.sub(r"^(\./)+", "", form) for form in (text, slashes))]))
