"""Saliency of the images of bags: a table of all images, and a picture of each bag."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from ... import Image
from ...data import write_atomic

_SIDE = 1024  # approximate side of a map in pixels
_CELL = 64  # largest side of an image in it, in pixels
_BACKGROUND = 160  # gray where there is no image
_MARGIN, _GAP, _LINE, _BAR = 20, 16, 22, 20  # pixels of the drawing; the width of the color bar
_LARGE, _SMALL = 18, 13  # size of the letters
_LOWEST = 120  # height of the color bar at least
_INK, _QUIET = (26, 29, 33), (91, 99, 110)

Picture = NDArray[np.uint8]
Row = Sequence[object]


def _cells(positions: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """Returns cells (n, 2) of a grid of at most 1024 x 1024, and the pixels of a cell's side."""
    steps = np.round(positions - positions.min(axis=0)).astype(np.int64)
    steps //= max(1, int(np.gcd.reduce(steps, axis=None)))
    steps //= -(-int(steps.max() + 1) // _SIDE)
    return steps, max(1, min(_CELL, _SIDE // int(steps.max() + 1)))


def heat_map(positions: NDArray[Any], values: NDArray[Any]) -> Picture:
    """Draws the saliency of a bag: red for the prediction, blue against it, white for zero.

    Args:
        positions: (n, 2) rows and columns of the images, in any regular grid.
        values: (n,) saliencies; the largest magnitude gets the full color.

    Returns:
        (H, W, 3) RGB.
    """
    steps, cell = _cells(positions)
    unit = values / max(float(np.abs(values).max()), 1e-12)
    picture = np.full((*(steps.max(axis=0) + 1), 3), _BACKGROUND, np.uint8)
    order = np.argsort(np.abs(unit))  # the strongest image of a cell is drawn last
    picture[tuple(steps[order].T)] = _colors(unit[order])
    return picture.repeat(cell, axis=0).repeat(cell, axis=1)


def _colors(unit: NDArray[Any]) -> Picture:
    """Returns the colors (n, 3) of saliencies (n,) in [-1, 1]."""
    fade = 255 * (1 - np.abs(unit))
    colors = [np.where(unit < 0, fade, 255), fade, np.where(unit > 0, fade, 255)]
    return np.stack(colors, axis=1).round().astype(np.uint8)


def overview(positions: NDArray[Any], images: Iterable[Image]) -> Picture:
    """Draws the images of a bag at their positions, at the size of its heat map.

    Args:
        positions: (n, 2) rows and columns of the images.
        images: n of (H, W, C), uint8, or float32 in [0, 1].

    Returns:
        (H, W, 3) RGB: the first three channels, or the first.
    """
    steps, cell = _cells(positions)
    picture = np.full((*(steps.max(axis=0) + 1) * cell, 3), _BACKGROUND, np.uint8)
    for (row, column), image in zip((steps * cell).tolist(), images, strict=True):
        shown = image[..., :3] if image.shape[2] > 2 else image[..., :1].repeat(3, axis=2)
        small = cv2.resize(shown, (cell, cell), interpolation=cv2.INTER_AREA)
        small = small if small.dtype == np.uint8 else (255 * small.clip(0, 1)).round()
        picture[row : row + cell, column : column + cell] = small
    return picture


def write_table(file: Path, names: Row, rows: Iterable[Row]) -> None:
    """Writes a CSV file.

    Raises:
        RunError: If it cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    write_atomic(file, text.getvalue().encode(errors="surrogateescape"))


def write_map(
    file: Path, title: Sequence[str], seen: Picture, heat: Picture, values: NDArray[Any], unit: str
) -> None:
    """Writes a PNG file: the images of a bag beside their saliency, with a title and a color bar.

    Args:
        file: The file.
        title: Lines above the pictures; the first is in large letters.
        seen: (H, W, 3) the images.
        heat: (H, W, 3) their saliency.
        values: (n,) saliencies, which give the ends of the color bar.
        unit: What the saliency is, for the caption.

    Raises:
        RunError: If it cannot be written.
    """
    height, width = heat.shape[:2]
    captions = ("images", f"saliency: {unit}", "gray: no image")
    left, right = _MARGIN, _MARGIN + max(width, _wide(captions[0])) + _GAP
    bar = right + max(width, _wide(captions[1]), _wide(captions[2])) + _GAP
    top = _MARGIN + 10 + _LINE * (len(title) + 1)
    widest = max(_wide(line, _LARGE if n == 0 else _SMALL) for n, line in enumerate(title))
    size = (
        max(bar + _BAR + 90, _MARGIN * 2 + widest),
        top + max(height, _LOWEST) + _LINE + _MARGIN,
    )
    sheet = Pillow.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for n, line in enumerate(title):
        color, letters = (_INK, _LARGE) if n == 0 else (_QUIET, _SMALL)
        pen.text((_MARGIN, _MARGIN + _LINE * n), line, color, _font(letters))
    for x, caption, picture in ((left, captions[0], seen), (right, captions[1], heat)):
        pen.text((x, top - _LINE), caption, _INK, _font(_SMALL))
        sheet.paste(Pillow.fromarray(picture), (x, top))
        pen.rectangle((x - 1, top - 1, x + width, top + height), outline=_QUIET)
    pen.text((right, top + height + 4), captions[2], _QUIET, _font(_SMALL))
    _draw_bar(sheet, pen, (bar, top), max(height, _LOWEST), values)
    out = io.BytesIO()
    sheet.save(out, "PNG")
    write_atomic(file, out.getvalue())


def _draw_bar(
    sheet: Pillow.Image,
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    height: int,
    values: NDArray[Any],
) -> None:
    """Draws the color bar with the values at its ends and middle; 0 to the largest if none is < 0.

    Args:
        sheet: Where to draw.
        pen: Draws on the sheet.
        corner: Left and top in pixels.
        height: In pixels.
        values: (n,) saliencies.
    """
    (x, y), largest = corner, float(np.abs(values).max())
    lowest = -1.0 if (values < 0).any() else 0.0
    colors = _colors(np.linspace(1, lowest, height))
    sheet.paste(Pillow.fromarray(colors[:, None].repeat(_BAR, axis=1)), (x, y))
    pen.rectangle((x - 1, y - 1, x + _BAR, y + height), outline=_QUIET)
    for share in (1.0, (1 + lowest) / 2, lowest):
        at = y + round((1 - share) / (1 - lowest) * (height - 1))
        pen.line((x + _BAR, at, x + _BAR + 4, at), _QUIET)
        number = f"{share * largest:+.3g}" if lowest < 0 and share else f"{share * largest:.3g}"
        pen.text((x + _BAR + 8, at), number, _INK, _font(_SMALL), anchor="lm")


def _wide(text: str, size: int = _SMALL) -> int:
    return int(_font(size).getlength(text)) + 1


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
