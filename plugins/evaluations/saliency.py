"""What speaks for the answer to a bag: a table of all images, and a picture of each bag."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ... import Image, RunError

_SIDE = 1024  # pixels of a picture, about
_CELL = 32  # pixels of an image in it, at most
_NOTHING = 160  # gray where there is no image

Picture = NDArray[np.uint8]
Row = Sequence[object]


def _cells(places: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """Returns (n, 2) cells of a grid of at most 1024 a side, and the pixels of one."""
    steps = np.round(places - places.min(axis=0)).astype(np.int64)
    steps //= max(1, int(np.gcd.reduce(steps, axis=None)))
    steps //= -(-int(steps.max() + 1) // _SIDE)
    return steps, max(1, min(_CELL, _SIDE // int(steps.max() + 1)))


def heat_map(places: NDArray[Any], values: NDArray[Any]) -> Picture:
    """Draws a bag: red speaks for the answer, blue against it, white is nothing.

    Args:
        places: (n, 2) row and column, in any unit that images lie in steps of.
        values: (n,); the largest magnitude has the full color.

    Returns:
        (H, W, 3) RGB.
    """
    steps, cell = _cells(places)
    unit = values / max(float(np.abs(values).max()), 1e-12)
    fade = 255 * (1 - np.abs(unit))
    colors = np.stack([np.where(unit < 0, fade, 255), fade, np.where(unit > 0, fade, 255)], axis=1)
    picture = np.full((*(steps.max(axis=0) + 1), 3), _NOTHING, np.uint8)
    order = np.argsort(np.abs(unit))  # of images in one cell the strongest is seen
    picture[tuple(steps[order].T)] = colors.round()[order]
    return picture.repeat(cell, axis=0).repeat(cell, axis=1)


def overview(places: NDArray[Any], images: Iterable[Image]) -> Picture:
    """Draws the images of a bag where they lie, as large as in its heat map.

    Args:
        places: (n, 2) row and column.
        images: n of (H, W, C), uint8, or float32 in [0, 1].

    Returns:
        (H, W, 3) RGB: the first three channels, or the first.
    """
    steps, cell = _cells(places)
    picture = np.full((*(steps.max(axis=0) + 1) * cell, 3), _NOTHING, np.uint8)
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
    _write(file, text.getvalue().encode(errors="surrogateescape"))


def write_pictures(file: Path, *pictures: Picture) -> None:
    """Writes pictures of one height, side by side, as a PNG file.

    Raises:
        RunError: If it cannot be written.
    """
    gap = np.full((len(pictures[0]), 8, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)][1:]
    _write(file, bytes(cv2.imencode(".png", np.concatenate(parts, axis=1)[..., ::-1])[1]))


def _write(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except OSError as error:
        raise RunError(f"Cannot write '{file}': {error.strerror}. Name another folder.") from error
