"""Saliency of the images of bags: a table of all images, and a picture of each bag."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ... import Image
from ...data import write_atomic

_SIDE = 1024  # approximate side of a picture in pixels
_CELL = 32  # largest side of an image in it, in pixels
_BACKGROUND = 160  # gray where there is no image

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
    fade = 255 * (1 - np.abs(unit))
    colors = np.stack([np.where(unit < 0, fade, 255), fade, np.where(unit > 0, fade, 255)], axis=1)
    picture = np.full((*(steps.max(axis=0) + 1), 3), _BACKGROUND, np.uint8)
    order = np.argsort(np.abs(unit))  # the strongest image of a cell is drawn last
    picture[tuple(steps[order].T)] = colors.round()[order]
    return picture.repeat(cell, axis=0).repeat(cell, axis=1)


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


def write_pictures(file: Path, *pictures: Picture) -> None:
    """Writes pictures of equal height side by side as a PNG file.

    Raises:
        RunError: If it cannot be written.
    """
    gap = np.full((len(pictures[0]), 8, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)][1:]
    write_atomic(file, bytes(cv2.imencode(".png", np.concatenate(parts, axis=1)[..., ::-1])[1]))
