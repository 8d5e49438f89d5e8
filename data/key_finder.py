"""Finds the files that a table names, however their paths are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .layouts import split_named, tells_nothing


@dataclass(frozen=True)
class _Match:
    """A file whose path ends like a path in the table.

    Attributes:
        key: Of the file.
        written: Folders that only the path in the table begins with, in lower case.
        stored: Folders that only the path of the file begins with.
    """

    key: str
    written: tuple[str, ...]
    stored: tuple[str, ...]

    @property
    def contradicts(self) -> bool:
        """Whether both paths begin with folders that may tell files apart, such as patients."""
        return not (tells_nothing(self.written) or tells_nothing(self.stored))


class KeyFinder:
    """Finds the files that a table means.

    Args:
        root: Folder of the data.
        keys: Of the files, relative to it.

    Attributes:
        remarks: What was assumed, one sentence each.
        nearest: By the path in the table, a file of the same name that is in another folder.
    """

    def __init__(self, root: Path, keys: Sequence[str]) -> None:
        self._root, self._keys = root.resolve(), set(keys)
        self.remarks: list[str] = []
        self.nearest: dict[str, str] = {}

    def find(self, texts: Sequence[str]) -> list[str | None]:
        """Returns the key of the file that each text names, None if there is none.

        Where no path is that of a file, its end counts, as long as the folders that are cut off
        tell no files apart: a table from another computer has other folders before all paths, and
        a table may have names only. The file of another patient is none.

        Args:
            texts: The paths of all rows, since they tell what is common to them.
        """
        found = {text: self._key_of(text.strip()) for text in dict.fromkeys(texts)}
        if None in found.values():
            ends = self._by_end()
            matches = {
                text: match
                for text, key in found.items()
                if key is None and (match := _match(text.strip(), ends))
            }
            exact = len(matches) < len(found)
            for text, match in self._accepted(matches, exact).items():
                found[text] = match.key
            self.nearest = {t: m.key for t, m in matches.items() if found[t] is None}
            by_end = next((text for text in matches if found[text] is not None), None)
            if by_end is not None:
                self.remarks.append(
                    f"Files are found by the ends of their paths, such as '{by_end.strip()}' for "
                    f"'{found[by_end]}'."
                )
        return [found[text] for text in texts]

    def _key_of(self, text: str) -> str | None:
        for form in _forms(text):
            if form in self._keys:
                return form
            if Path(form).is_absolute():
                inside = self._inside(Path(form))
                if inside in self._keys:
                    return inside
        return None

    def _inside(self, path: Path) -> str:
        for base, target in ((self._root, path), (self._root, path.resolve())):
            if target.is_relative_to(base):
                return target.relative_to(base).as_posix()
        return ""

    def _by_end(self) -> dict[str, str | None]:
        """Returns the one file whose path ends like a text; None if there are several.

        The text is in lower case, and may lack the ending of the file.
        """
        by_end: dict[str, str | None] = {}
        for key in self._keys:
            forms = (key, re.sub(r"\.[^./]*$", "", key), re.sub(r"\.[^/]*$", "", key))
            for end in {end for form in forms for end in _ends(form)}:
                by_end[end] = None if end in by_end else key
        return by_end

    def _accepted(self, matches: dict[str, _Match], exact: bool) -> dict[str, _Match]:
        """Returns the matches in which the folders that are cut off tell no files apart.

        Args:
            matches: By the path in the table.
            exact: Whether other paths in the table are those of files.
        """
        cuts = {match.written for match in matches.values()}
        root = self._root.name.lower()
        longer = not exact and all(cut and not _is_another(cut[-1], root) for cut in cuts)
        is_prefix = longer and len(cuts) == 1
        pairs = {(match.written, match.key) for match in matches.values()}
        is_flattened = longer and len(pairs) == len({key for _, key in pairs})
        folders = {folder for key in self._keys for folder in key.lower().split("/")[:-1]}

        def fits(match: _Match) -> bool:
            if not match.written:  # the table has names only
                return True
            if match.contradicts:
                return False
            is_new = folders.isdisjoint(match.written)
            return is_prefix or (is_new and (is_flattened or tells_nothing(match.written)))

        return {text: match for text, match in matches.items() if fits(match)}


def _match(text: str, by_end: dict[str, str | None]) -> _Match | None:
    """Returns the file whose path has the longest end in common with a text."""
    for end in _ends(text):
        if end in by_end:
            key = by_end[end]
            if key is None:
                return None
            depth = end.count("/") + 1
            return _Match(key, *(_folders(path, depth) for path in (text, key)))
    return None


def _folders(path: str, depth: int) -> tuple[str, ...]:
    """Returns the folders of a path, in lower case, without the last `depth` parts."""
    return tuple(part for part in _parts(path)[:-depth] if part not in ("", "."))


def _is_another(name: str, other: str) -> bool:
    """Tells whether folders are called like two patients, or like two parts such as test."""
    plain, like = (re.sub(r"\d+", "0", each) for each in (name, other))
    part, other_part = split_named(name), split_named(other)
    return name != other and (plain == like or bool(part and other_part and part != other_part))


def _parts(path: str) -> list[str]:
    return re.split(r"[/\\]+", path.lower())


def _ends(path: str) -> list[str]:
    """Returns the ends of a path in lower case, the longest first."""
    parts = _parts(path)
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _forms(text: str) -> list[str]:
    """Returns the spellings of a path to look for, the one that was written first."""
    slashes = text.replace("\\", "/")
    return list(dict.fromkeys([text, *(re.sub(r"^(\./)+", "", form) for form in (text, slashes))]))
