"""Cuts scenes into tiles with enough data and few clouds, and groups tiles by file or block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError, Index, UsageError
from ssl_kit.data import box_means, grid, tile_key, tile_starts

from .clouds import cloudy
from .ground import Floats, Ints, lonlat, map_blocks, meters, pixel_blocks
from .headers import Header
from .options import GeoTiffConfig
from .rasters import Rasters
from .stacks import Fault, Scene

_MOST = 20_000_000  # tiles of one scene
_NOWHERE = 1e9  # meters: position of an unreadable scene, far from all others
_WHOLE = 64  # samples of a file of one tile in both directions
_LOOKS = 16  # samples of a tile in both directions, for data and clouds


@dataclass(frozen=True)
class Tiles:
    """Positions of the images.

    Attributes:
        scene: (n,) number of the scene, int32.
        corner: (n, 2) first row and column in pixels, int32.
        size: (n, 2) height and width in pixels, int32.
    """

    scene: NDArray[np.int32]
    corner: NDArray[np.int32]
    size: NDArray[np.int32]

    def __getitem__(self, kept: NDArray[np.bool_]) -> Tiles:
        return Tiles(self.scene[kept], self.corner[kept], self.size[kept])

    def places(self, row: float, col: float) -> Floats:
        """Returns (n, 2) row and column of a place in each tile, given in shares of its sides."""
        return np.asarray(self.corner + self.size * np.array([row, col]), np.float64)


class Cutter:
    """Cuts scenes into tiles.

    Args:
        rasters: Reads masks.
        paths: Of the files by number.
        options: Of the reader.

    Attributes:
        faults: Scenes whose masks cannot be read.
        empty: Number of tiles left out because they hold too little data.
        empty_files: Number of scenes of which no tile holds enough data.
    """

    def __init__(
        self, rasters: Rasters, paths: Callable[[int], Path], options: GeoTiffConfig
    ) -> None:
        self._rasters, self._paths, self._options = rasters, paths, options
        self.faults: list[Fault] = []
        self.empty = self.empty_files = 0

    def cut(self, scenes: Sequence[Scene]) -> Tiles:
        """Returns the tiles that hold enough data and few clouds."""
        parts = [self._tiles(number, scene) for number, scene in enumerate(scenes)]
        return Tiles(
            np.concatenate([tiles.scene for tiles in parts]),
            np.concatenate([tiles.corner for tiles in parts]),
            np.concatenate([tiles.size for tiles in parts]),
        )

    def _tiles(self, number: int, scene: Scene) -> Tiles:
        header, tile = scene.header.at(self._options.resolution), self._options.tile
        size = (min(tile, header.height), min(tile, header.width))
        try:
            corner = self._corners(scene, header)
        except (DataError, OSError) as error:
            self.faults.append(Fault(scene.key, scene.first, str(error)))
            corner = np.zeros((0, 2), np.int64)
        count = len(corner)
        return Tiles(
            np.full(count, number, np.int32),
            corner.astype(np.int32),
            np.tile(np.array(size, np.int32), (count, 1)),
        )

    def _corners(self, scene: Scene, header: Header) -> Ints:
        """Returns (n, 2) first row and column of the tiles of a scene that are kept."""
        tile, shape = self._options.tile, (header.height, header.width)
        stride = self._options.stride or tile
        if (shape[0] // stride + 1) * (shape[1] // stride + 1) > _MOST:
            raise DataError(f"has more than {_MOST} tiles; give a larger data.options.stride")
        kept = corners(*shape, tile, stride)
        step = max(1, tile // _LOOKS)
        thin = (max(1, shape[0] // step), max(1, shape[1] // step))
        if len(kept) == 1:
            thin = (min(shape[0], _WHOLE), min(shape[1], _WHOLE))
        if self._rasters.may_miss(header):
            missing = self._rasters.thin(
                self._paths(scene.grid), scene.bands[scene.files.index(scene.grid)], thin
            )[1]
            enough = shares(missing, shape, tile, kept) <= self._options.max_nodata
            self.empty += int((~enough).sum())
            self.empty_files += not enough.any()
            kept = kept[enough]
        if scene.cloud and self._options.max_cloud < 1:
            file, band, kind = scene.cloud
            values = self._rasters.thin(self._paths(file), band, thin)[0]
            cloud = shares(cloudy(values, kind), shape, tile, kept)
            kept = kept[cloud <= self._options.max_cloud]
        return kept


def keys_of(scenes: Sequence[Scene], tiles: Tiles, options: GeoTiffConfig) -> list[str]:
    """Returns the name of each tile; a scene no larger than a tile keeps its own."""
    headers = [scene.header.at(options.resolution) for scene in scenes]
    whole = [max(header.height, header.width) <= options.tile for header in headers]
    return [
        scenes[number].key if whole[number] else tile_key(scenes[number].key, row, col)
        for number, (row, col) in zip(tiles.scene.tolist(), tiles.corner.tolist(), strict=True)
    ]


def grouped(
    scenes: Sequence[Scene], tiles: Tiles, groups: Sequence[str], options: GeoTiffConfig
) -> tuple[list[str], NDArray[np.bool_]]:
    """Returns the group of each tile, and whether it keeps the distance to other blocks.

    A tile is left out if it comes nearer than half the buffer to the border of its block: so tiles
    of two blocks are never nearer than the buffer, whichever of them become the test part.

    Args:
        scenes: All scenes.
        tiles: Of the scenes.
        groups: Of the scenes, if there were no blocks.
        options: Of the reader.

    Raises:
        UsageError: If the map is needed and a scene has none.
    """
    side, unit = options.block_side
    if unit == "px":
        sizes = _shapes(scenes, options)[tiles.scene]
        corner, size = tiles.corner.astype(np.int64), tiles.size.astype(np.int64)
        block, distance = pixel_blocks(corner, size, sizes, side)
        prefix = [groups[scene] for scene in tiles.scene.tolist()]
    elif unit == "km":
        block, distance = map_blocks(*_outlines(scenes, tiles, options), side)
        prefix = ["map"] * len(tiles.scene)
    else:
        return [groups[scene] for scene in tiles.scene.tolist()], np.ones(len(tiles.scene), bool)
    buffer = -np.inf if options.buffer is None else options.buffer / 2
    names = [f"{a} block {row},{col}" for a, (row, col) in zip(prefix, block.tolist(), strict=True)]
    return names, distance >= buffer


def _shapes(scenes: Sequence[Scene], options: GeoTiffConfig) -> Ints:
    headers = [scene.header.at(options.resolution) for scene in scenes]
    return np.array([(header.height, header.width) for header in headers])


def _outlines(
    scenes: Sequence[Scene], tiles: Tiles, options: GeoTiffConfig
) -> tuple[Floats, Floats]:
    """Returns centers (n, 2) and corners (n, 4, 2) of the tiles, in degrees."""
    headers = [scene.header.at(options.resolution) for scene in scenes]
    number = tiles.scene.astype(np.int64)
    centers = lonlat(headers, number, tiles.places(0.5, 0.5))
    if np.isnan(centers).any():
        first = scenes[int(number[np.isnan(centers).any(1)][0])].key
        raise UsageError(
            f"'{first}' does not tell where on the map it lies, which data.options.block in km "
            "needs. Give the block in px."
        )
    ends = [(0, 0), (0, 1), (1, 0), (1, 1)]
    return centers, np.stack([lonlat(headers, number, tiles.places(*end)) for end in ends], axis=1)


def positions(scenes: Sequence[Scene], tiles: Tiles, options: GeoTiffConfig) -> NDArray[np.float32]:
    """Returns the row and column of the center of each tile, and its place on the Earth.

    Returns:
        (n, 2), or (n, 7) where all scenes have a map: then x, y, z in meters from the middle of
        all, the side of a tile in meters, and the distance in meters of its furthest neighbors.
    """
    headers = [scene.header.at(options.resolution) for scene in scenes]
    number = tiles.scene.astype(np.int64)
    pixel = tiles.places(0.5, 0.5)
    degrees = lonlat(headers, number, pixel)
    if not len(degrees) or np.isnan(degrees).any():
        return pixel.astype(np.float32)
    place = meters(degrees)
    every = np.arange(len(headers))
    middle = np.array([(header.height / 2, header.width / 2) for header in headers])
    here, below, right = (
        meters(lonlat(headers, every, middle + step)) for step in ((0, 0), (1, 0), (0, 1))
    )
    steps = np.stack([below - here, right - here], axis=1)
    side = (tiles.size * np.linalg.norm(steps, axis=2)[number]).min(1)
    near = 1.5 * side if options.near is None else np.full(len(side), options.near)
    return np.column_stack([pixel, place - place.mean(0), side, near]).astype(np.float32)


def index_of(
    scenes: Sequence[Scene],
    tiles: Tiles,
    groups: Sequence[str],
    faults: Sequence[Fault],
    files: Index,
    options: GeoTiffConfig,
) -> tuple[Index, Ints]:
    """Returns the index of the tiles and of the unreadable scenes, sorted by scene.

    Labels and splits are those of a scene's first file.

    Returns:
        The index, and (n,) the number of the tile of each entry, -1 for a fault.
    """
    side, unit = options.block_side
    places = positions(scenes, tiles, options)
    nowhere = np.full((len(faults), places.shape[1]), _NOWHERE, np.float32)
    nowhere[:, :2], nowhere[:, 5:] = 0, 0
    first = np.array([scene.first for scene in scenes], dtype=np.int64)[tiles.scene]
    file = np.concatenate([first, np.array([fault.file for fault in faults], dtype=np.int64)])
    names = [scenes[number].key for number in tiles.scene.tolist()]
    order = np.argsort(np.array([*names, *(f.key for f in faults)]), kind="stable")
    keys = [*keys_of(scenes, tiles, options), *(fault.key for fault in faults)]
    in_group = [*groups, *(files.group(fault.file) for fault in faults)]
    index = files.expand(
        file[order],
        [keys[i] for i in order],
        np.concatenate([places, nowhere])[order],
        groups=[in_group[i] for i in order],
        origins={"group": f"blocks of {side:g} {unit}"} if unit else {},
    )
    return index, np.where(order < len(names), order, -1)


def corners(height: int, width: int, tile: int, stride: int) -> Ints:
    """Returns (n, 2) first row and column of tiles that cover a scene, all lengths in pixels."""
    return grid(tile_starts(height, tile, stride), tile_starts(width, tile, stride))


def shares(mask: NDArray[np.bool_], shape: tuple[int, int], tile: int, corner: Ints) -> Floats:
    """Returns the share of masked pixels of each tile, (n,).

    Args:
        mask: (h, w), the mask of the whole scene, subsampled.
        shape: (H, W) of the scene in pixels.
        tile: Height and width of a tile in pixels.
        corner: (n, 2) first row and column of each tile.
    """
    scale = np.array(mask.shape) / np.array(shape)
    low = np.floor(corner * scale).astype(np.int64)
    high = np.minimum(np.ceil((corner + tile) * scale).astype(np.int64), mask.shape)
    return box_means(mask, low[:, 0], high[:, 0], low[:, 1], high[:, 1])
