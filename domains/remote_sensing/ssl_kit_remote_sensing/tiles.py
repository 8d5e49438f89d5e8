"""Tiles of a scene: where they are, what they are called, which of them hold data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_MARK = "#"


def tile_key(scene: str, row: int, col: int) -> str:
    """Returns the name of the tile of a scene whose first pixel is at (row, col)."""
    return f"{scene}{_MARK}{row},{col}"


def parse_keys(keys: NDArray[np.bytes_]) -> tuple[NDArray[np.bytes_], Ints, Ints]:
    """Takes names apart; one that is no tile's is a scene of its own, with its corner at 0, 0.

    Returns:
        (s,) names of the scenes, (n,) number of the scene, and (n, 2) first row and column.
    """
    head, mark, tail = np.strings.rpartition(keys, _MARK.encode())
    row, comma, col = np.strings.partition(tail, b",")
    tiled = (mark != b"") & (comma != b"") & np.strings.isdigit(row) & np.strings.isdigit(col)
    corner = [np.where(tiled, number, b"0").astype(np.int64) for number in (row, col)]
    names, scenes = np.unique(np.where(tiled, head, keys), return_inverse=True)
    return names, scenes.astype(np.int64), np.stack(corner, axis=1)


def corners(height: int, width: int, tile: int, stride: int) -> Ints:
    """Returns (n, 2) first row and column of tiles that cover a scene, all lengths in pixels.

    The last row and column of tiles is moved back to end with the scene, so that all tiles have
    one size; a scene shorter than a tile has one, as short as it is.
    """
    rows, cols = _starts(height, tile, stride), _starts(width, tile, stride)
    return np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1).reshape(-1, 2)


def _starts(length: int, tile: int, stride: int) -> Ints:
    last = max(0, length - tile)
    return np.append(np.arange(0, last, stride), last)


def shares(
    mask: NDArray[np.bool_], shape: tuple[int, int], tile: int, corner: Ints
) -> NDArray[np.float64]:
    """Returns the share of masked pixels of each tile, (n,).

    Args:
        mask: (h, w), a thinned-out mask of the whole scene, true where there is no data.
        shape: (H, W) of the scene in pixels.
        tile: Height and width of a tile in pixels.
        corner: (n, 2) first row and column of each tile.
    """
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1))
    sums[1:, 1:] = mask.cumsum(0).cumsum(1)  # summed-area table: any rectangle from four values
    scale = np.array(mask.shape) / np.array(shape)
    low = np.floor(corner * scale).astype(np.int64)
    high = np.minimum(np.ceil((corner + tile) * scale).astype(np.int64), mask.shape)
    (top, left), (bottom, right) = low.T, high.T
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    masked: NDArray[np.float64] = inside / ((bottom - top) * (right - left))
    return masked
