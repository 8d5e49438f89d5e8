"""Draws the contact sheet: rows of pictures with captions."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from ..core.dataset import Image
from ..data.pixels import full_scale

CURVES = 4  # channels of a signal that are drawn
CELL, _GAP, _MARGIN, _LINE = 136, 10, 16, 13
_SMALL, _LARGE = 10, 17
_INK, _QUIET = (26, 29, 33), (91, 99, 110)
_MOST_LINES = 16


@dataclass(frozen=True)
class Tile:
    """A picture, (H, W, 3) uint8, with the lines of its caption."""

    picture: Image
    caption: Sequence[str]


def draw_sheet(
    rows: Sequence[Sequence[Tile]], title: str, notes: Sequence[str], apart: bool = True
) -> bytes:
    """Draws rows of pictures with captions below them, and returns a PNG file.

    Args:
        rows: Pictures; a row without captions is close to the next.
        title: Above the pictures.
        notes: Sentences below the title.
        apart: Whether the first picture of each row is set apart from the others.
    """
    width = 2 * _MARGIN + len(rows[0]) * (CELL + _GAP) + _GAP
    notes = [line for note in notes for line in textwrap.wrap(note, width // 6)]
    captions = [[_wrapped(tile.caption) for tile in row] for row in rows]
    lengths = [max(map(len, row)) for row in captions]
    heights = [CELL + (n * _LINE + 2 * _GAP if n else _GAP // 2) for n in lengths]
    top = _MARGIN + 28 + len(notes) * (_LINE + 3) + _GAP
    sheet = Pillow.new("RGB", (width, top + sum(heights) + _MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN), title, _INK, _font(_LARGE))
    for n, note in enumerate(notes):
        pen.text((_MARGIN, _MARGIN + 28 + n * (_LINE + 3)), note, _QUIET, _font(_SMALL + 2))
    for row, lines, height in zip(rows, captions, heights, strict=True):
        for column, tile in enumerate(row):
            left = _MARGIN + column * (CELL + _GAP) + (_GAP if column and apart else 0)
            sheet.paste(Pillow.fromarray(_fitted(tile.picture)), (left, top))
            text = "\n".join(lines[column])
            color = _QUIET if column and apart else _INK
            pen.multiline_text((left, top + CELL + 3), text, color, _font(_SMALL), spacing=2)
        top += height
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _wrapped(caption: Sequence[str]) -> list[str]:
    """Wraps lines to the width of a picture; of a long text the end is kept."""
    lines = [line for text in caption for line in _fitting(text)]
    return lines if len(lines) <= _MOST_LINES else ["...", *lines[1 - _MOST_LINES :]]


def _fitting(text: str) -> Iterator[str]:
    """Yields lines that are no wider than a picture, cut after a blank, "/" or "_" if possible."""
    line = ""
    for part in re.findall(r"(?:[^ /_]| (?=%|px))*[ /_]*", text):
        if line and not _fits(line + part.rstrip()):
            yield line.rstrip()
            line = ""
        line += part
        while not _fits(line.rstrip()):
            most = next(n for n in range(len(line), 0, -1) if _fits(line[:n]) or n == 1)
            yield line[:most]
            line = line[most:]
    yield line.rstrip()


def _fits(text: str) -> bool:
    return _font(_SMALL).getlength(text) <= CELL


def _fitted(picture: Image) -> Image:
    how = cv2.INTER_AREA if picture.shape[0] > CELL else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, (CELL, CELL), interpolation=how), dtype=np.uint8)


def curves(signal: Image, like: Image) -> Image:
    """Draws the first channels of a signal (T, C) as curves below each other.

    Args:
        signal: The view.
        like: The whole signal (T', C), whose range is the scale of the curves.
    """
    drawn, whole = (
        part[:, :CURVES] / np.float64(full_scale(part.dtype)) for part in (signal, like)
    )
    cell = np.full((CELL, CELL, 3), 245, np.uint8)
    height = CELL / drawn.shape[1]
    x = np.linspace(0, CELL - 1, len(drawn))
    span = max(float(np.abs(whole - whole.mean(axis=0)).max()), 1e-9)
    for c, values in enumerate((drawn - whole.mean(axis=0)).T):
        y = (c + 0.5 - 0.45 * values / span) * height
        line = np.column_stack([x, y]).round().astype(np.int32)
        cv2.polylines(cell, [line], False, (40, 70, 120), 1, cv2.LINE_AA)
    return cell
