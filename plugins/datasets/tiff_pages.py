"""Finds the pages of a TIFF file, by its directories alone.

TIFF 6.0 (Adobe 1992), and BigTIFF: https://www.awaresystems.be/imaging/tiff/bigtiff.html.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_SUBFILE, _WIDTH, _HEIGHT = 254, 256, 257  # tags
_REDUCED, _MASK = 1, 4  # bits of the tag subfile
_VALUES = {3: "H", 4: "I", 16: "Q"}  # types of numbers
_ALIKE = 0.03  # relative difference of two ratios of sides


@dataclass(frozen=True)
class Pages:
    """Pages of a TIFF file.

    Attributes:
        offsets: Where the directory of each page begins, in bytes; () if the file is no TIFF.
        left_out: Number of pages that are masks or smaller copies of the first page.
        big: Whether the file is a BigTIFF.
    """

    offsets: tuple[int, ...] = ()
    left_out: int = 0
    big: bool = False


def pages_of(path: Path) -> Pages:
    """Reads the directories of a file; a damaged file has the pages before the damage."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
            order = {b"II": "<", b"MM": ">"}.get(head[:2])
            if order is None or len(head) < 16:
                return Pages()
            big = struct.unpack(f"{order}H", head[2:4])[0] == 43
            first = struct.unpack(f"{order}{'Q' if big else 'I'}", head[8:16] if big else head[4:8])
            directories = _directories(file, order, big, first[0])
    except (OSError, struct.error):
        return Pages()
    if not directories:
        return Pages()
    kept = [at for at, tags in directories if not _is_copy(tags, directories[0][1])]
    kept = kept or [directories[0][0]]
    return Pages(tuple(kept), len(directories) - len(kept), big)


def _is_copy(tags: dict[int, int], first: dict[int, int]) -> bool:
    """Tells whether a page is a mask, or a smaller copy of the first page."""
    if tags.get(_SUBFILE, 0) & (_REDUCED | _MASK):
        return True
    across, down = (tags.get(side, 0) / max(1, first.get(side, 0)) for side in (_WIDTH, _HEIGHT))
    return 0 < across < 1 and 0 < down < 1 and abs(across / down - 1) < _ALIKE


def _directories(
    file: BinaryIO, order: str, big: bool, first: int
) -> list[tuple[int, dict[int, int]]]:
    """Returns where each directory begins, and its tags that matter here."""
    number, size, pointer = ("Q", 20, "Q") if big else ("H", 12, "I")
    width = struct.calcsize(f"{order}{number}"), struct.calcsize(f"{order}{pointer}")
    found: dict[int, dict[int, int]] = {}
    at = first
    while at and at not in found:
        file.seek(at)
        raw = file.read(width[0])
        if len(raw) < width[0]:
            break
        entries = file.read(struct.unpack(f"{order}{number}", raw)[0] * size)
        link = file.read(width[1])
        if len(link) < width[1]:
            break
        found[at] = _tags(entries, order, size)
        at = struct.unpack(f"{order}{pointer}", link)[0]
    return list(found.items())


def _tags(entries: bytes, order: str, size: int) -> dict[int, int]:
    tags = {}
    for at in range(0, len(entries), size):
        tag, kind = struct.unpack(f"{order}HH", entries[at : at + 4])
        if tag > _HEIGHT:  # directories are sorted
            break
        if tag in (_SUBFILE, _WIDTH, _HEIGHT) and kind in _VALUES:
            value = f"{order}{_VALUES[kind]}"
            begin = at + (12 if size == 20 else 8)
            tags[tag] = struct.unpack(value, entries[begin : begin + struct.calcsize(value)])[0]
    return tags
