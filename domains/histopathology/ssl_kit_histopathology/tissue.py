"""Finds the tissue of a slide on a small picture of it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError, Image

from .slide_files import Header, read_region
from .tiles import Tiling

_FINE, _COARSE = 16, 4  # largest and smallest number of pixels of the picture per tile
_LONGEST = 4096  # pixels of the picture
_BLOCK = 1024  # pixels, height and width of what is read at once
_READABLE = 2**30  # pixels of a level that is read as a whole, piece by piece
_SATURATION = (10, 40)  # of 255: glass has less, tissue more, whatever the histogram looks like
_DARK = 40  # of 255: what is darker has no color


def overview(slide: Any, header: Header, tiling: Tiling) -> Image:
    """Makes a small picture of a slide, (h, w, 3), of at most 16 pixels per tile.

    The coarsest level that has four pixels per tile is read piece by piece, so that memory stays
    flat.

    Args:
        slide: An open slide.
        header: Header of the slide.
        tiling: Tiling of the slide.

    Raises:
        DataError: If the slide is damaged or has no small level.
    """
    level = slide.get_best_level_for_downsample(max(1.0, tiling.pixels / _COARSE))
    down, (width, height) = header.downsamples[level], slide.level_dimensions[level]
    if width * height > _READABLE:
        raise DataError(
            f"has no small level to find the tissue on, the smallest is {width} x {height} pixels; "
            "'vips tiffsave --tile --pyramid' adds some"
        )
    longest = max(header.height, header.width)
    step = max(down, tiling.pixels / _FINE, longest / _LONGEST) / down  # pixels of the level
    shape = [max(1, round(length / step)) for length in (height, width)]
    cells = max(1, int(_BLOCK / step))
    picture = np.empty((*shape, 3), np.uint8)
    for top in range(0, shape[0], cells):
        for left in range(0, shape[1], cells):
            part = picture[top : top + cells, left : left + cells]
            part[:] = _block(slide, level, down, (top, left), part.shape[:2], step)
    return picture


def _block(
    slide: Any,
    level: int,
    down: float,
    first: tuple[int, int],
    cells: tuple[int, ...],
    step: float,
) -> Image:
    """Returns some cells of the picture, each the mean of `step` x `step` pixels of a level."""
    low = [round(cell * step) for cell in first]
    size = [
        max(1, round((cell + n) * step) - at) for cell, n, at in zip(first, cells, low, strict=True)
    ]
    corner = (round(low[0] * down), round(low[1] * down))
    pixels = read_region(slide, level, corner, (size[0], size[1]))
    return np.asarray(cv2.resize(pixels, (cells[1], cells[0]), interpolation=cv2.INTER_AREA))


def tissue_mask(picture: Image) -> NDArray[np.bool_]:
    """Separates tissue from glass, (h, w), by saturation above Otsu's threshold.

    Otsu's method splits any histogram, even that of a slide that is all tissue or all glass. The
    threshold is therefore limited to a range that separates the two on every slide.

    Args:
        picture: (h, w, 3) RGB, uint8.
    """
    saturation = cv2.medianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)[..., 1], 3)
    otsu, _ = cv2.threshold(saturation, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    low, high = _SATURATION
    mask: NDArray[np.bool_] = (saturation > min(max(otsu, low), high)) & (picture.max(2) > _DARK)
    return mask
