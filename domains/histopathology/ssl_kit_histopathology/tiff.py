"""Writes small pyramids as tiled TIFF, for checks and tests: nothing else here makes slides."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssl_kit import Image

_SHORT, _LONG, _RATIONAL = 3, 4, 5


def write_slide(path: Path, levels: Sequence[Image], mpp: float | None, tile: int = 256) -> None:
    """Writes a pyramid without compression; tiles that are alike are stored once.

    Args:
        path: File to write.
        levels: (H, W, 3) RGB uint8, the finest first.
        mpp: Microns per pixel of the first, or None to say nothing.
        tile: Pixels, height and width of the tiles in the file.
    """
    stored: dict[bytes, int] = {}
    with path.open("wb") as file:
        file.write(b"II*\0\0\0\0\0")
        link = 4  # where the place of the next directory goes
        for number, level in enumerate(levels):
            offsets = []
            for piece in _pieces(level, tile):
                if piece not in stored:
                    stored[piece] = file.tell()
                    file.write(piece)
                offsets.append(stored[piece])
            resolution = 0.0 if mpp is None else 1e4 / mpp * level.shape[1] / levels[0].shape[1]
            tags = _tags(level, tile, offsets, resolution, reduced=number > 0)
            place = file.tell()
            data, at = _directory(tags, place)
            file.write(data)
            file.seek(link)
            file.write(struct.pack("<I", place))
            file.seek(0, 2)
            link = at


def _pieces(level: Image, tile: int) -> list[bytes]:
    height, width = level.shape[:2]
    pieces = []
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            part = level[top : top + tile, left : left + tile]
            rest = ((0, tile - part.shape[0]), (0, tile - part.shape[1]), (0, 0))
            pieces.append(np.pad(part, rest).tobytes())
    return pieces


def _tags(
    level: Image, tile: int, offsets: list[int], resolution: float, reduced: bool
) -> list[tuple[int, int, list[int]]]:
    """Returns number, type and values of each entry; a resolution is in pixels per centimeter."""
    height, width = level.shape[:2]
    tags = [
        (254, _LONG, [int(reduced)]), (256, _LONG, [width]), (257, _LONG, [height]),
        (258, _SHORT, [8, 8, 8]), (259, _SHORT, [1]), (262, _SHORT, [2]), (277, _SHORT, [3]),
        (284, _SHORT, [1]), (322, _LONG, [tile]), (323, _LONG, [tile]), (324, _LONG, offsets),
        (325, _LONG, [3 * tile * tile] * len(offsets)),
    ]  # fmt: skip
    if resolution:
        ratio = [round(resolution * 1000), 1000]
        tags += [(282, _RATIONAL, ratio), (283, _RATIONAL, ratio), (296, _SHORT, [3])]
    return sorted(tags)


def _directory(tags: list[tuple[int, int, list[int]]], place: int) -> tuple[bytes, int]:
    """Returns a directory that is written at a place, and where its link to the next one is."""
    end = place + 2 + 12 * len(tags) + 4
    head, rest = struct.pack("<H", len(tags)), b""
    for number, kind, values in tags:
        data = struct.pack(f"<{len(values)}{'H' if kind == _SHORT else 'I'}", *values)
        count = len(values) // 2 if kind == _RATIONAL else len(values)
        if len(data) > 4:
            data, rest = struct.pack("<I", end + len(rest)), rest + data
        head += struct.pack("<HHI", number, kind, count) + data.ljust(4, b"\0")
    return head + b"\0\0\0\0" + rest, end - 4
