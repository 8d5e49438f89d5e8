"""Masks of the size of the image from outlines of objects: polygons or run lengths.

COCO's run lengths run down the columns and begin outside of the object; as text, each letter has
five bits of a number (Lin et al. 2014, https://arxiv.org/abs/1405.0312; `rleFrString` of
pycocotools). They are decoded here, because pycocotools does not check them: damaged ones would
make it read memory outside of its buffer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_masks
from pydantic import BaseModel

from ... import DataError

Mask = NDArray[np.uint8]
_LETTERS = 7  # of a number, at most: 35 bits


class RunLengths(BaseModel):
    """Run lengths of a mask of `size` (height, width), as numbers or as COCO text."""

    size: tuple[int, int]
    counts: list[int] | str


Outline = RunLengths | list[list[float]]
"""Run lengths, or polygons [x1, y1, x2, y2, ...] in pixels; an empty list is no outline."""


def mask_of(outline: Outline, height: int, width: int) -> Mask:
    """Returns the mask (H, W) of an outline, 1 inside.

    Raises:
        DataError: If the outline is for an image of another size, or is damaged.
    """
    if not isinstance(outline, RunLengths):
        outline = _filled(outline, height, width)
    if outline.size != (height, width):
        raise DataError(f"a mask has {outline.size} pixels, the image has {(height, width)}")
    counts = outline.counts if isinstance(outline.counts, list) else _counts(outline.counts)
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise DataError("the run lengths of a mask do not add up to the image")
    inside = np.arange(len(counts), dtype=np.uint8) % 2
    return np.repeat(inside, counts).reshape((height, width), order="F")


def _filled(polygons: list[list[float]], height: int, width: int) -> RunLengths:
    edges = np.array([width, height], dtype=np.float64)
    points = [_points(flat).clip(0, edges).ravel().tolist() for flat in polygons]
    packed = coco_masks.merge(coco_masks.frPyObjects(points, height, width))
    return RunLengths(size=packed["size"], counts=packed["counts"].decode())


def encode(mask: NDArray[Any]) -> dict[str, Any]:
    """Encodes a mask (H, W) as run lengths of pycocotools."""
    packed: dict[str, Any] = coco_masks.encode(np.asfortranarray(mask, dtype=np.uint8))
    return packed


def _points(flat: list[float]) -> NDArray[np.float64]:
    if len(flat) < 6 or len(flat) % 2:
        raise DataError(f"a polygon has {len(flat)} numbers; x and y of three points are needed")
    return np.array(flat, dtype=np.float64).reshape(-1, 2)


def _counts(text: str) -> list[int]:
    """Decodes COCO text; from the fourth on, a number is a difference to the last but one."""
    counts: list[int] = []
    number = shift = 0
    for letter in text:
        code = ord(letter) - 48
        if not 0 <= code < 64 or shift >= 5 * _LETTERS:
            raise DataError("the run lengths of a mask are no COCO text")
        number |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        number -= (1 << shift) if code & 16 else 0
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = shift = 0
    return counts
