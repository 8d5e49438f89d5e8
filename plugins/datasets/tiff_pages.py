"""Finds the pages of a TIFF file, by its directories alone.

TIFF 6.0 (Adobe 1992), and BigTIFF: https://www.awaresystems.be/imaging/tiff/bigtiff.html.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _SAMPLES = 254, 256, 257, 258, 277  # tags
_REDUCED, _MASK = 1, 4  # bits of the tag subfile
_VALUES = {3: "H", 4: "I", 16: "Q"}  # types of numbers
_Read = Callable[[int, int], bytes]  # position and number of bytes
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
            directories, big = _directories(lambda at, n: (file.seek(at), file.read(n))[1])
    except (OSError, ValueError):
        return Pages()
    if not directories:
        return Pages()
    kept = [at for at, tags in directories if not _is_copy(tags, directories[0][1])]
    kept = kept or [directories[0][0]]
    return Pages(tuple(kept), len(directories) - len(kept), big)


def shape_of(data: NDArray[np.uint8]) -> tuple[tuple[int, int, int], int] | None:
    """Returns (H, W, C) and the bytes of a number of the first page, None if there is no page."""
    directories, _ = _directories(lambda at, n: data[at : at + n].tobytes(), most=1)
    if not directories:
        return None
    tags = directories[0][1]
    shape = (tags.get(_HEIGHT, 0), tags.get(_WIDTH, 0), min(3, tags.get(_SAMPLES, 1)))
    return shape, -(-tags.get(_BITS, 1) // 8)


def _is_copy(tags: dict[int, int], first: dict[int, int]) -> bool:
    """Tells whether a page is a mask, or a smaller copy of the first page."""
    if tags.get(_SUBFILE, 0) & (_REDUCED | _MASK):
        return True
    across, down = (tags.get(side, 0) / max(1, first.get(side, 0)) for side in (_WIDTH, _HEIGHT))
    return 0 < across < 1 and 0 < down < 1 and abs(across / down - 1) < _ALIKE


def _directories(
    read: _Read, most: int | None = None
) -> tuple[list[tuple[int, dict[int, int]]], bool]:
    """Returns where each directory begins with its tags that matter, and whether it is BigTIFF."""
    head = read(0, 16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        return [], False
    big = struct.unpack(f"{order}H", head[2:4])[0] == 43
    number, size, pointer = ("Q", 20, "Q") if big else ("H", 12, "I")
    counted, linked = (struct.calcsize(f"{order}{each}") for each in (number, pointer))
    found: dict[int, dict[int, int]] = {}
    at = struct.unpack(f"{order}{pointer}", head[8:16] if big else head[4:8])[0]
    while at and at not in found and len(found) != most:
        raw = read(at, counted)
        if len(raw) < counted:
            break
        length = struct.unpack(f"{order}{number}", raw)[0] * size
        entries = read(at + counted, length)
        link = read(at + counted + length, linked)
        if len(link) < linked:
            break
        found[at] = _tags(read, entries, order, size)
        at = struct.unpack(f"{order}{pointer}", link)[0]
    return list(found.items()), big


def _tags(read: _Read, entries: bytes, order: str, size: int) -> dict[int, int]:
    """Returns the first value of each tag that matters."""
    tags = {}
    pointer = f"{order}{'Q' if size == 20 else 'I'}"
    inside = struct.calcsize(pointer)
    for at in range(0, len(entries), size):
        tag, kind = struct.unpack(f"{order}HH", entries[at : at + 4])
        if tag > _SAMPLES:  # directories are sorted
            break
        if tag in (_SUBFILE, _WIDTH, _HEIGHT, _BITS, _SAMPLES) and kind in _VALUES:
            value = f"{order}{_VALUES[kind]}"
            width, begin = struct.calcsize(value), at + size - inside
            raw = entries[begin : begin + inside]
            if struct.unpack(pointer, entries[at + 4 : begin])[0] * width > inside:
                raw = read(struct.unpack(pointer, raw)[0], width)
            if len(raw) >= width:
                tags[tag] = struct.unpack(value, raw[:width])[0]
    return tags
