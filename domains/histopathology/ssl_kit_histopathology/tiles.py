"""Tiles of a slide: where they lie, and which of them hold tissue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError
from ssl_kit.data import box_means

Ints = NDArray[np.int64]
_ENOUGH_ALIKE = 0.05  # a level whose pixels differ less from those asked for is read as it is
_ENLARGED = 2.0  # times that a slide's finest level is enlarged at most
_WIDEST = 4096  # pixels, side of what is read for one tile
_MOST = 2**24  # tiles of a slide


@dataclass(frozen=True)
class Tiling:
    """How a slide is cut into tiles.

    Attributes:
        level: Number of the level that is read.
        side: Height and width of a tile in pixels of that level, before it is resized.
        pixels: Height and width of a tile in pixels of the finest level.
        stride: Distance from tile to tile in pixels of the finest level.
    """

    level: int
    side: int
    pixels: float
    stride: float

    @classmethod
    def choose(
        cls, mpp: float, downsamples: Sequence[float], wanted: float, tile: int, stride: int
    ) -> Tiling:
        """Chooses the coarsest level that is fine enough.

        Args:
            mpp: Microns per pixel of the finest level.
            downsamples: Downsampling factor of each level, the finest first.
            wanted: Microns per pixel of the tiles.
            tile: Height and width of a tile in pixels.
            stride: Pixels from tile to tile.

        Raises:
            DataError: If the slide is much coarser, or much finer without a level near it.
        """
        ratio = wanted / mpp
        if ratio * _ENLARGED < 1 - _ENOUGH_ALIKE:
            raise DataError(
                f"has {mpp:g} microns per pixel, much coarser than data.options.mpp {wanted:g}"
            )
        fine = [n for n, down in enumerate(downsamples) if down <= ratio * (1 + _ENOUGH_ALIKE)]
        level = fine[-1] if fine else 0
        shrunk = ratio / downsamples[level]
        side = tile if abs(shrunk - 1) <= _ENOUGH_ALIKE else max(1, round(tile * shrunk))
        if side > _WIDEST:
            raise DataError(
                f"has no level near {wanted:g} microns per pixel: a tile would be read from "
                f"{side} x {side} pixels; lower data.options.mpp or data.options.tile"
            )
        pixels = side * downsamples[level]
        return cls(level, side, pixels, pixels * stride / tile)

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Returns how many rows and columns of whole tiles a slide has.

        Raises:
            DataError: If the number is implausibly large.
        """
        rows, cols = (
            int((length - self.pixels + 0.5) // self.stride) + 1
            if length + 0.5 >= self.pixels
            else 0
            for length in (height, width)
        )
        if rows * cols > _MOST:
            raise DataError(f"would have {rows} x {cols} tiles; raise data.options.stride or mpp")
        return rows, cols

    def corner(self, row: int, col: int) -> tuple[int, int]:
        """Returns row and column of a tile's first pixel, of the finest level."""
        return round(row * self.stride), round(col * self.stride)

    def place(self, x: float, y: float) -> tuple[int, int]:
        """Returns row and column of the last tile that begins before a pixel."""
        return int((y + 0.5) // self.stride), int((x + 0.5) // self.stride)


def shares(mask: NDArray[np.bool_], size: tuple[int, int], tiling: Tiling) -> NDArray[np.float64]:
    """Returns the share of true pixels of each tile, (rows, columns).

    Args:
        mask: (h, w), a small picture of the slide.
        size: (H, W) of the slide in pixels of the finest level.
        tiling: Tiling of the slide.
    """
    ends = []
    for count, length, pixels in zip(tiling.shape(*size), size, mask.shape, strict=True):
        first = np.arange(count) * tiling.stride * (pixels / length)
        low = np.minimum(np.floor(first).astype(np.int64), pixels - 1)
        last = np.ceil(first + tiling.pixels * pixels / length - 1e-6).astype(np.int64)
        ends.append((low, np.clip(last, low + 1, pixels)))
    (top, bottom), (left, right) = ends
    return box_means(mask, top[:, None], bottom[:, None], left, right)
