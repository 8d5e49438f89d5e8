"""Finds the pages of a TIFF file, by its directories alone.

TIFF 6.0 (Adobe 1992), and BigTIFF: https://www.awaresystems.be/imaging/tiff/bigtiff.html.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...data import agree, plural
from .tiff_stacks import Stack, stack_of

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLORS = 254, 256, 257, 258, 259, 262
_TEXT, _SAMPLES, _PLANES, _KIND = 270, 277, 284, 339
_TAGS = {_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLORS, _SAMPLES, _PLANES, _KIND}
_ZERO_IS_WHITE, _INKS = 0, 5  # values of the tag colors
_REDUCED, _MASK = 1, 4  # bits of the tag subfile
_VALUES = {3: "H", 4: "I", 16: "Q"}  # types of numbers
_ALL = 1 << 31
_ALIKE = 0.03  # relative difference of two ratios of sides


_File = BinaryIO | io.RawIOBase


class Storage(NamedTuple):
    """How a page is stored.

    Attributes:
        size: (H, W).
        channels: Number of channels.
        bits: Of a number.
        planes: Whether one channel follows after another.
        inks: Whether the channels are CMYK.
        negative: Whether 0 is white (the tag colors says so).
        kind: Of a number, a value of the tag SampleFormat: 1 for unsigned integers, 2 for
            integers, 3 for floats, 5 and 6 for complex numbers.
        compression: Value of the tag Compression.
    """

    size: tuple[int, int]
    channels: int
    bits: int
    planes: bool
    inks: bool
    negative: bool
    kind: int
    compression: int


@dataclass(frozen=True)
class Pages:
    """Pages of a TIFF file.

    Attributes:
        offsets: Where the directory of each page begins, in bytes; () if the file is no TIFF.
        left_out: Number of pages that are masks or smaller copies of the first page.
        big: Whether the file is a BigTIFF.
        stack: Planes that the file has beside its only page, None if there are none.
    """

    offsets: tuple[int, ...] = ()
    left_out: int = 0
    big: bool = False
    stack: Stack | None = None

    def __len__(self) -> int:
        return self.stack.stored if self.stack else len(self.offsets)

    @property
    def absent(self) -> int:
        """Number of planes that the file declares and that are not found."""
        return self.stack.declared - self.stack.stored if self.stack else 0

    def read(self, path: Path, number: int) -> NDArray[np.uint8]:
        """Returns the bytes, (n,), of a TIFF file in which page `number` of this file comes first.

        Raises:
            OSError: If the file cannot be read.
        """
        if self.stack and self.stack.head:
            return self.stack.plane(path, number)
        data = np.memmap(path, np.uint8, "c")  # what is written stays in memory
        order: Literal["little", "big"] = "little" if data[0] == ord("I") else "big"
        begin, end = (8, 16) if self.big else (4, 8)
        place = self.offsets[number].to_bytes(end - begin, order)
        data[begin:end] = np.frombuffer(place, np.uint8)
        return data


def pages_of(path: Path) -> Pages:
    """Reads the directories of a file; a damaged file has the pages before the damage."""
    try:
        with path.open("rb") as file:
            directories, big = _listed(file)
            stack = stack_of(file) if len(directories) == 1 and _TEXT in directories[0][1] else None
    except (OSError, struct.error):
        return Pages()
    if not directories:
        return Pages()
    kept = [at for at, tags in directories if not _is_copy(tags, directories[0][1])]
    kept = kept or [directories[0][0]]
    return Pages(tuple(kept), len(directories) - len(kept), big, stack)


def absent_planes(pages: Iterable[Pages]) -> list[str]:
    """Returns what is said of planes that files declare and that are not found; [] for none."""
    files = [each for each in pages if each.absent]
    if not files:
        return []
    count, absent = plural(len(files), "TIFF file"), sum(each.absent for each in files)
    return [
        f"{count} of ImageJ or tifffile {agree(len(files), 'declares', 'declare')} "
        f"{plural(absent, 'plane')} that {agree(absent, 'is', 'are')} not used, because the pixels "
        f"are compressed or {agree(absent, 'it is', 'they are')} absent. Save "
        f"{agree(len(files), 'it', 'them')} with a directory for each plane, for example by "
        "tifffile."
    ]


def storage_of(data: NDArray[np.uint8]) -> Storage | None:
    """Returns how the first page of a TIFF file is stored, None if it is no TIFF.

    Args:
        data: (n,) bytes of the file.
    """
    try:
        directories, _ = _listed(ArrayFile(data), most=1)
    except struct.error:
        return None
    if not directories:
        return None
    tags = directories[0][1]
    return Storage(
        (tags.get(_HEIGHT, 0), tags.get(_WIDTH, 0)),
        tags.get(_SAMPLES, 1),
        tags.get(_BITS, 1),
        tags.get(_PLANES, 1) == 2,
        tags.get(_COLORS) == _INKS,
        tags.get(_COLORS) == _ZERO_IS_WHITE,
        tags.get(_KIND, 1),
        tags.get(_COMPRESSION, 1),
    )


class ArrayFile(io.RawIOBase):
    """Reads an array of bytes, (n,), as a file, without a copy of it."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._data, self._at = data.data, 0

    def seekable(self) -> bool:
        """Tells that any place of the file can be read."""
        return True

    def seek(self, at: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a place, and returns it."""
        self._at = max(0, at + (0, self._at, len(self._data))[whence])
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Returns the next bytes, all if the size is negative or None."""
        rest = size is None or size < 0
        part = bytes(self._data[self._at : None if rest else self._at + (size or 0)])
        self._at += len(part)
        return part

    def getvalue(self) -> memoryview:
        """Returns all bytes; Pillow takes them for compressed TIFF files."""
        return self._data


def _listed(file: _File, most: int = _ALL) -> tuple[list[tuple[int, dict[int, int]]], bool]:
    """Returns the directories of a file, and whether it is a BigTIFF."""
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        return [], False
    big = struct.unpack(f"{order}H", head[2:4])[0] == 43
    first = struct.unpack(f"{order}{'Q' if big else 'I'}", head[8:16] if big else head[4:8])
    return _directories(file, order, big, first[0], most), big


def _is_copy(tags: dict[int, int], first: dict[int, int]) -> bool:
    """Tells whether a page is a mask, or a smaller copy of the first page."""
    if tags.get(_SUBFILE, 0) & (_REDUCED | _MASK):
        return True
    across, down = (tags.get(side, 0) / max(1, first.get(side, 0)) for side in (_WIDTH, _HEIGHT))
    return 0 < across < 1 and 0 < down < 1 and abs(across / down - 1) < _ALIKE


def _directories(
    file: _File, order: str, big: bool, first: int, most: int
) -> list[tuple[int, dict[int, int]]]:
    """Returns where each directory begins, and its tags that matter here."""
    number, size, pointer = ("Q", 20, "Q") if big else ("H", 12, "I")
    width = struct.calcsize(f"{order}{number}"), struct.calcsize(f"{order}{pointer}")
    found: dict[int, dict[int, int]] = {}
    at = first
    while at and at not in found and len(found) < most:
        file.seek(at)
        raw = file.read(width[0])
        if len(raw) < width[0]:
            break
        entries = file.read(struct.unpack(f"{order}{number}", raw)[0] * size)
        link = file.read(width[1])
        if len(link) < width[1]:
            break
        found[at] = _tags(file, entries, order, size)
        at = struct.unpack(f"{order}{pointer}", link)[0]
    return list(found.items())


def _tags(file: _File, entries: bytes, order: str, size: int) -> dict[int, int]:
    """Returns the tags that matter here; of several numbers the first, and 0 for a text."""
    tags = {}
    pointer, room = ("Q", 8) if size == 20 else ("I", 4)
    for at in range(0, len(entries), size):
        tag, kind, count = struct.unpack_from(f"{order}HH{pointer}", entries, at)
        if tag == _TEXT:
            tags[tag] = 0
        if tag > _KIND:  # directories are sorted
            break
        if tag not in _TAGS or kind not in _VALUES:
            continue
        value, field = f"{order}{_VALUES[kind]}", entries[at + size - room : at + size]
        width = struct.calcsize(value)
        if count * width > room:  # the numbers are elsewhere
            file.seek(struct.unpack(f"{order}{pointer}", field)[0])
            field = file.read(width)
        tags[tag] = struct.unpack(value, field[:width])[0]
    return tags
