"""Finds the planes of stacks of which a TIFF file lists only the first.

ImageJ saves stacks above 4 GB with one directory: its description gives the number of planes, which
follow each other uncompressed. tifffile does so if it is called with truncate=True.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _STRIPS, _SAMPLES = 256, 257, 258, 259, 273, 277
_ROWS, _SIZES, _PLANES, _TILE = 278, 279, 284, 322
_KEPT = {_WIDTH, _HEIGHT, _BITS, 262, _SAMPLES, _PLANES, 317, 320, 338, 339}
"""Tags that say how the numbers of a plane are meant: also colors, predictor, color table, extra
samples and kind of number."""
_FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # of the types of integers
_SHORT, _LONG, _LONGER = 3, 4, 16
_LOOKED_AT = 4096  # bytes of a description
_JSON, _IMAGEJ = b'{"shape":', b"ImageJ="

_Tags = dict[int, tuple[int, tuple[int, ...]]]
_File = BinaryIO | io.RawIOBase


class Stack(NamedTuple):
    """A stack of planes of which a TIFF file lists only the first.

    Attributes:
        declared: Number of planes according to the description.
        stored: Number of planes that can be read, at least 1.
        begin: Where the pixels of the first plane begin, in bytes.
        size: Bytes of a plane.
        head: What precedes the pixels in a TIFF file of one plane; b"" if only the first plane can
            be read.
    """

    declared: int
    stored: int
    begin: int = 0
    size: int = 0
    head: bytes = b""

    def plane(self, path: Path, number: int) -> NDArray[np.uint8]:
        """Returns plane `number` of the file as the bytes, (n,), of a TIFF file of its own."""
        pixels = np.fromfile(path, np.uint8, self.size, offset=self.begin + number * self.size)
        return np.concatenate([np.frombuffer(self.head, np.uint8), pixels])


def stack_of(file: _File) -> Stack | None:
    """Returns the stack that a TIFF file declares in the description of its only directory.

    Args:
        file: Open for reading.

    Returns:
        None if it is no such file: no TIFF, several directories, or a single plane.

    Raises:
        struct.error: If the file is damaged.
    """
    file.seek(0)
    start = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 16:
        return None
    big = struct.unpack(f"{order}H", start[2:4])[0] == 43
    first = struct.unpack(f"{order}{'Q' if big else 'I'}", start[8:16] if big else start[4:8])[0]
    tags, text, following = _directory(file, order, big, first)
    height, width = (tags.get(tag, (0, (0,)))[1][0] for tag in (_HEIGHT, _WIDTH))
    samples = tags.get(_SAMPLES, (0, (1,)))[1][0]
    declared = _declared(text, height * width * samples)
    if following or declared < 2:
        return None
    bits = tags.get(_BITS, (0, (1,)))[1][0]
    size = height * width * samples * bits // 8
    compressed = tags.get(_COMPRESSION, (0, (1,)))[1][0] != 1
    apart = samples > 1 and tags.get(_PLANES, (0, (1,)))[1][0] != 1
    begin = _begin_of(tags, size)
    if not begin or compressed or apart or bits % 8 or _TILE in tags or size >= 1 << 32:
        return Stack(declared, 1)
    stored = (file.seek(0, os.SEEK_END) - begin) // size
    head = _head(order, {tag: value for tag, value in tags.items() if tag in _KEPT}, height, size)
    return Stack(declared, max(1, min(declared, stored)), begin, size, head)


def _declared(text: bytes, numbers: int) -> int:
    """Returns the number of planes that a description gives, 0 if it gives none.

    Args:
        text: The description.
        numbers: How many a plane has.
    """
    if text.startswith(_IMAGEJ):
        match = re.search(rb"^images=(\d+)\s*$", text, re.MULTILINE)
        return int(match[1]) if match else 0
    if text.startswith(_JSON) and b'"truncated": true' in text:
        try:
            shape = json.loads(text)["shape"]
            return int(math.prod(shape) // max(1, numbers))
        except (ValueError, TypeError):
            return 0
    return 0


def _begin_of(tags: _Tags, size: int) -> int:
    """Returns where the pixels begin, 0 if the strips do not follow each other as one plane."""
    begins, sizes = (tags.get(tag, (0, ()))[1] for tag in (_STRIPS, _SIZES))
    if not begins or len(begins) != len(sizes):
        return 0
    ends = [begin + length for begin, length in zip(begins, sizes, strict=True)]
    return begins[0] if [*ends[:-1]] == [*begins[1:]] and ends[-1] - begins[0] >= size else 0


def _directory(file: _File, order: str, big: bool, at: int) -> tuple[_Tags, bytes, int]:
    """Returns the integers of a directory, its description, and where the next directory is."""
    number, entry, pointer = ("Q", 20, "Q") if big else ("H", 12, "I")
    width = struct.calcsize(f"={pointer}")
    file.seek(at)
    (count,) = struct.unpack(f"{order}{number}", file.read(struct.calcsize(f"={number}")))
    entries = file.read(count * entry)
    (following,) = struct.unpack(f"{order}{pointer}", file.read(width))
    tags: _Tags = {}
    text = b""
    for place in range(0, len(entries), entry):
        tag, kind, length = struct.unpack_from(f"{order}HH{pointer}", entries, place)
        inside = entries[place + entry - width : place + entry]
        size = length if kind == 2 else length * struct.calcsize(f"={_FORMATS.get(kind, 'x')}")
        if kind not in (2, *_FORMATS) or (kind == 2 and tag != 270):
            continue
        if size > width:
            file.seek(struct.unpack(f"{order}{pointer}", inside)[0])
            inside = file.read(min(size, _LOOKED_AT) if kind == 2 else size)
        if kind == 2:
            text = inside.rstrip(b"\0")
        else:
            tags[tag] = kind, struct.unpack(f"{order}{length}{_FORMATS[kind]}", inside[:size])
    return tags, text, following


def _head(order: str, tags: _Tags, height: int, size: int) -> bytes:
    """Returns what precedes the pixels in a TIFF file of one plane in one strip."""
    fields: dict[int, tuple[int, Sequence[int]]] = {
        tag: (_LONG if kind == _LONGER else kind, values) for tag, (kind, values) in tags.items()
    }
    fields |= {_COMPRESSION: (_SHORT, [1]), _ROWS: (_LONG, [height]), _SIZES: (_LONG, [size])}
    fields[_STRIPS] = _LONG, [0]
    end = 8 + 2 + 12 * len(fields) + 4
    outside = b""
    packed = {}
    for tag, (kind, values) in fields.items():
        raw = struct.pack(f"{order}{len(values)}{_FORMATS[kind]}", *values)
        if len(raw) > 4:
            packed[tag] = struct.pack(f"{order}I", end + len(outside))
            outside += raw + b"\0" * (len(raw) % 2)
        else:
            packed[tag] = raw.ljust(4, b"\0")
    packed[_STRIPS] = struct.pack(f"{order}I", end + len(outside))
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, len(values)) + packed[tag]
        for tag, (kind, values) in sorted(fields.items())
    )
    mark = b"II" if order == "<" else b"MM"
    begin = mark + struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}H", len(fields))
    return begin + entries + bytes(4) + outside
