"""Finds values that mean missing data although no file declares them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.windows import Window

from ssl_kit import DataError, Image
from ssl_kit.data import evenly_spaced, listed_fills, suspected_fills

from .options import GeoTiffConfig
from .rasters import Rasters
from .stacks import Scene

Looked = tuple[list[Image], float]

_WINDOWS = 64  # looked at, evenly spread over all scenes
_SIDE = 64  # samples of a window in both directions
_ZEROS = 0.005  # share of pixels that are 0 in all bands of a multispectral dataset
_PICTURE = 3  # bands from which a file is an image of several colors


@dataclass(frozen=True)
class Fills:
    """Undeclared missing data.

    Attributes:
        values: Numbers that mean no data.
        zero: Whether 0 in all bands means no data.
        remarks: What was found and assumed, one sentence each.
    """

    values: tuple[float, ...] = ()
    zero: bool = False
    remarks: tuple[str, ...] = ()


def find_fills(
    rasters: Rasters,
    scenes: Sequence[Scene],
    paths: Callable[[int], Path],
    options: GeoTiffConfig,
) -> Fills:
    """Looks at small windows that are evenly spread over all scenes.

    Args:
        rasters: Reads them.
        scenes: All of one kind.
        paths: Of the files by number.
        options: Of the reader; there is nothing to find if it names a value.
    """
    color_tables = scenes[0].header.palette
    picture = scenes[0].dtype == "uint8" and len(scenes[0].bands) >= _PICTURE
    if options.nodata is not None or not options.guess_nodata or color_tables or picture:
        return Fills()
    windows = _look(rasters, scenes, paths, options.tile)
    if not windows:
        return Fills()
    values: dict[float, float] = {}
    for band in zip(*(bands for bands, _ in windows), strict=True):
        known = np.concatenate(band)
        for value in suspected_fills(known):
            values[value] = max(values.get(value, 0.0), float((known == value).mean()))
    zeros = float(np.mean([share for _, share in windows]))
    integer = scenes[0].dtype in ("uint16", "uint32")  # of these it is known
    zero = len(scenes[0].bands) >= _PICTURE and _ZEROS <= zeros < 1 and not integer
    remarks = [listed_fills(values)] if values else []
    if zero:
        remarks.append(
            f"Taken for missing data, although the files do not declare it: 0 in all bands, "
            f"{100 * zeros:.3g} % of the pixels looked at; --set data.options.guess_nodata=false "
            "takes all values for measurements."
        )
    return Fills(tuple(values), zero, tuple(remarks))


def _look(
    rasters: Rasters, scenes: Sequence[Scene], paths: Callable[[int], Path], tile: int
) -> list[Looked]:
    """Returns the windows that can be read."""
    per_scene = -(-_WINDOWS // len(scenes))
    windows = []
    for number in evenly_spaced(len(scenes), _WINDOWS).tolist():
        for part in range(per_scene):
            with suppress(DataError, OSError):
                at = part / max(1, per_scene - 1)
                windows.append(_window(rasters, scenes[number], paths, tile, at))
    return windows


def _window(
    rasters: Rasters, scene: Scene, paths: Callable[[int], Path], tile: int, at: float
) -> Looked:
    """Reads a window on the way from the upper left to the lower right corner of a scene.

    Returns:
        The known numbers of each band, and the share of the pixels that are 0 in all bands.
    """
    header = scene.header.at(rasters.resolution)
    height, width = min(tile, header.height), min(tile, header.width)
    row, column = round(at * (header.height - height)), round(at * (header.width - width))
    window = Window(column, row, width, height)
    shape = (min(height, _SIDE), min(width, _SIDE))
    numbers = []
    zero = np.ones(shape, dtype=bool)
    for file, bands in _layers(scene):
        data, missing = rasters.read(paths(file), bands, window, shape, paths(scene.grid))
        numbers += [band[~mask] for band, mask in zip(data, missing, strict=True)]
        zero &= ((data == 0) & ~missing).all(axis=0)
    return numbers, float(zero.mean())


def _layers(scene: Scene) -> list[tuple[int, tuple[int, ...]]]:
    """Returns the number of each file, and the bands to read from it."""
    if len(scene.files) == 1:
        return [(scene.files[0], scene.bands)]
    return [(file, (band,)) for file, band in zip(scene.files, scene.bands, strict=True)]
