"""Tiles of a large image: where they begin, what they are called, and means over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
_MARK = "#"


def tile_starts(length: int, tile: int, stride: int) -> Ints:
    """Returns the first pixel of each tile along one side, (n,).

    The last tile is moved back to end with the image, so that all tiles have one size. An image
    that is shorter than a tile has one tile, as short as the image.

    Args:
        length: Pixels of the image along the side.
        tile: Pixels of a tile along the side.
        stride: Pixels from tile to tile.
    """
    last = max(0, length - tile)
    return np.append(np.arange(0, last, stride), last)


def grid(rows: Ints, columns: Ints) -> Ints:
    """Returns all pairs of a row and a column, (rows * columns, 2), row by row."""
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def tile_key(image: str, row: int, column: int) -> str:
    """Returns the name of the tile of an image at a row and a column."""
    return f"{image}{_MARK}{row},{column}"


def parse_tile_keys(keys: NDArray[np.bytes_]) -> tuple[NDArray[np.bytes_], Ints, Ints]:
    """Reverses `tile_key`. A name that is no tile's is that of an image, at row and column 0.

    Args:
        keys: (n,) names, UTF-8 bytes.

    Returns:
        Names of the images (m,), number of the image of each tile (n,), and row and column (n, 2).
    """
    head, mark, tail = np.strings.rpartition(keys, _MARK.encode())
    row, comma, column = np.strings.partition(tail, b",")
    tiled = (mark != b"") & (comma != b"") & np.strings.isdigit(row) & np.strings.isdigit(column)
    places = [np.where(tiled, number, b"0").astype(np.int64) for number in (row, column)]
    names, images = np.unique(np.where(tiled, head, keys), return_inverse=True)
    return names, images.astype(np.int64), np.stack(places, axis=1)


def box_means(
    mask: NDArray[np.bool_], top: ArrayLike, bottom: ArrayLike, left: ArrayLike, right: ArrayLike
) -> NDArray[np.float64]:
    """Returns the share of true pixels in each of many boxes, by a summed-area table.

    Args:
        mask: (h, w).
        top: First row of each box, any shape that broadcasts with the others.
        bottom: One past the last row of each box.
        left: First column of each box.
        right: One past the last column of each box.
    """
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1))
    sums[1:, 1:] = mask.cumsum(0).cumsum(1)
    top, bottom, left, right = (np.asarray(edge) for edge in (top, bottom, left, right))
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return np.asarray(inside / ((bottom - top) * (right - left)), np.float64)
