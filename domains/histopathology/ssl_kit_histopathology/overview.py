"""Makes a small picture of a slide, and draws its tissue and its tiles on it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError, Image
from ssl_kit.data import plural

from .legend import with_legend
from .slide_files import Header, on_white, read_rgba
from .tiles import Ints, Tiling
from .tissue import Tissue

_FINE, _COARSE = 16, 4  # largest and smallest number of pixels of the picture per tile
_LONGEST = 4096  # pixels of the picture
_BLOCK = 1024  # pixels, height and width of what is read at once
_READABLE = 2**30  # pixels of a level that is read as a whole, piece by piece
_DRAWN = 1024  # pixels, the longer side of what is drawn, if eight times the picture suffice
_TILE, _TISSUE, _PEN = (0, 130, 60), (230, 120, 0), (40, 60, 220)  # colors, RGB


def overview(slide: Any, header: Header, tiling: Tiling) -> tuple[Image, NDArray[np.bool_]]:
    """Makes a small picture of a slide of at most 16 pixels per tile.

    The coarsest level that has four pixels per tile is read piece by piece, so that memory stays
    flat.

    Args:
        slide: An open slide.
        header: Header of the slide.
        tiling: Tiling of the slide.

    Returns:
        The picture (h, w, 3), and where the slide has data (h, w).

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
    scanned = np.empty(shape, bool)
    for top in range(0, shape[0], cells):
        for left in range(0, shape[1], cells):
            part = slice(top, top + cells), slice(left, left + cells)
            block = _block(slide, level, down, (top, left), picture[part].shape[:2], step)
            picture[part], scanned[part] = block
    return picture, scanned


def _block(
    slide: Any,
    level: int,
    down: float,
    first: tuple[int, int],
    cells: tuple[int, ...],
    step: float,
) -> tuple[Image, NDArray[np.bool_]]:
    """Returns some cells of the picture, each the mean of `step` x `step` pixels of a level.

    A cell has data where all of its pixels have.
    """
    low = [round(cell * step) for cell in first]
    size = [
        max(1, round((cell + n) * step) - at) for cell, n, at in zip(first, cells, low, strict=True)
    ]
    corner = (round(low[0] * down), round(low[1] * down))
    pixels = read_rgba(slide, level, corner, (size[0], size[1]))

    def shrink(image: Image) -> Image:
        return np.asarray(cv2.resize(image, (cells[1], cells[0]), interpolation=cv2.INTER_AREA))

    return shrink(on_white(pixels)), shrink(np.ascontiguousarray(pixels[..., 3])) == 255


def draw_tiles(
    picture: Image, tissue: Tissue, places: Ints, tiling: Tiling, size: tuple[int, int]
) -> Image:
    """Draws the tiles that are used, the edge of the tissue, and pen marks.

    Args:
        picture: (h, w, 3) of the slide.
        tissue: Its tissue.
        places: (n, 2) row and column of the tiles.
        tiling: Tiling of the slide.
        size: (H, W) of the slide in pixels of the finest level.

    Returns:
        The picture, enlarged up to eight times, with a legend below: tiles green, tissue orange,
        pen marks blue.
    """
    enlarged = int(np.clip(_DRAWN // max(picture.shape[:2]), 1, 8))
    shape = picture.shape[1] * enlarged, picture.shape[0] * enlarged
    drawn = np.asarray(cv2.resize(picture, shape, interpolation=cv2.INTER_NEAREST))
    for mask, color in ((tissue.mask, _TISSUE), (tissue.pen, _PEN)):
        large = cv2.resize(mask.astype(np.uint8), shape, interpolation=cv2.INTER_NEAREST)
        contours, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, contours, -1, color, 1)
    scale = np.array(drawn.shape[:2]) / size
    for row, col in places.tolist():
        top, left = (np.array(tiling.corner(row, col)) * scale).round().astype(int).tolist()
        bottom, right = (
            ((np.array(tiling.corner(row, col)) + tiling.pixels) * scale).round().astype(int) - 1
        ).tolist()
        cv2.rectangle(drawn, (left, top), (right, bottom), _TILE, 1)
    legend = [(f"{plural(len(places), 'tile')} used", _TILE), ("edge of the tissue", _TISSUE)]
    return with_legend(drawn, [*legend, *([("pen marks", _PEN)] if tissue.pen.any() else [])])
