"""Finds the groups that weights were trained on in a dataset of a folder above or below theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.index import Index


@dataclass(frozen=True)
class Seen:
    """Groups that a run was trained on.

    Attributes:
        groups: Their hashes.
        until: Where those of them end that were trained on in part, by the hash.
    """

    groups: frozenset[str]
    until: Mapping[str, list[float]]


def seen_in(part: Mapping[str, Any], index: Index | None = None, path: Path | None = None) -> Seen:
    """Returns the groups that a run was trained on, by the hashes that they have in a dataset.

    A file without a group is a group of its own, which is known by its path below the folder that
    was given as --data. In a folder above or below that one it has another name.

    Args:
        part: One of `manifest.trained_on`.
        index: Of the dataset; None leaves the hashes as they are.
        path: Its file or folder.

    Returns:
        The hashes of the training and those of the same groups in the dataset.
    """
    groups, until = frozenset(part["groups"]), dict(part.get("until", {}))
    if index is None or path is None:
        return Seen(groups, until)
    names = {there: here for there, here in _renamed(index, path, path_of(part)) if there in groups}
    until |= {here: until[there] for there, here in names.items() if there in until}
    return Seen(groups | frozenset(names.values()), until)


def path_of(part: Mapping[str, Any]) -> str:
    """Returns the path of the images that a run was trained on; "" if it is not known.

    Args:
        part: A manifest, or what it says of a run on the way to the initial weights.
    """
    known = (part.get("path"), part.get("config", {}).get("data", {}).get("path"))
    return next(filter(None, (*known, part.get("data", {}).get("path"))), "")


def between(before: str, now: Path) -> tuple[str, bool] | None:
    """Returns the folders between two places of images.

    Args:
        before: Path of a file or folder.
        now: Another one.

    Returns:
        The folders, "a/b", "" if there are none, and whether `now` is the inner place; None if
        neither is inside the other.
    """
    if not before or now == Path():
        return None
    there, here = _folder(Path(before)), _folder(now)
    if here.is_relative_to(there):
        return "" if here == there else here.relative_to(there).as_posix(), True
    if there.is_relative_to(here):
        return there.relative_to(here).as_posix(), False
    return None


def _folder(path: Path) -> Path:
    """Returns the folder that the names of files are relative to."""
    path = path.resolve()
    return path.parent if path.is_file() else path


def _renamed(index: Index, path: Path, before: str) -> Iterator[tuple[str, str]]:
    """Yields the hash that each group has by its name in another folder, and the one here."""
    folders, is_inner = between(before, path) or ("", True)
    prefix = f"{folders}/".encode(errors="surrogateescape")
    for name in index.group_names.tolist() if folders else ():
        if is_inner:
            yield _hash(prefix + name), _hash(name)
        elif name.startswith(prefix):
            yield _hash(name.removeprefix(prefix)), _hash(name)


def _hash(name: bytes) -> str:
    """Returns the fingerprint of a group's name, as `Index.group_hashes` does."""
    return hashlib.sha256(name).hexdigest()[:16]
