"""Positions of tiles on a spherical Earth: coordinates, blocks of the map, buffers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.warp import transform

from .headers import Header

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
RADIUS = 6_371_008.8  # meters, the mean radius of the IUGG
_DEGREE = np.pi / 180 * RADIUS / 1000  # kilometers


def lonlat(headers: Sequence[Header], scene: Ints, places: Floats) -> Floats:
    """Returns longitude and latitude in degrees, (n, 2), NaN where a scene has no map.

    Args:
        headers: Of the scenes.
        scene: (n,) number of the scene of each place.
        places: (n, 2) row and column in pixels of the scene.
    """
    affine = np.array([header.transform for header in headers]).reshape(-1, 2, 3)[scene]
    # x and y from column, row, 1
    columns = np.column_stack([places[:, ::-1], np.ones(len(places))])
    xy = np.einsum("nij,nj->ni", affine, columns)
    systems, number = np.unique([header.crs for header in headers], return_inverse=True)
    degrees = np.full((len(places), 2), np.nan)
    for i, crs in enumerate(systems):
        chosen = np.flatnonzero(number[scene] == i)
        if crs and len(chosen):
            degrees[chosen] = _to_degrees(str(crs), xy[chosen])
    degrees[~np.isfinite(degrees).all(1)] = np.nan
    return degrees


def _to_degrees(crs: str, xy: Floats) -> Floats:
    try:
        return np.column_stack(transform(crs, "EPSG:4326", *xy.T.tolist()))
    except (RasterioError, CPLE_BaseError, ValueError):  # no place on the Earth
        return np.full(xy.shape, np.nan)


def meters(degrees: Floats) -> Floats:
    """Returns Cartesian coordinates, (n, 3) meters, valid across zones, poles and date line."""
    lon, lat = np.radians(degrees).T
    unit = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    return RADIUS * unit


def map_blocks(centers: Floats, corners: Floats, side: float) -> tuple[Ints, Floats]:
    """Cuts the Earth into blocks: bands of latitude, cut along meridians into near-squares.

    Args:
        centers: (n, 2) degrees; a tile belongs to the block of its center.
        corners: (n, 4, 2) degrees.
        side: Kilometers.

    Returns:
        (n, 2) row and column of each tile's block, and the least distance in kilometers of each
        tile to the borders of its block, negative where it reaches across.
    """
    high = side / _DEGREE
    row = np.floor(centers[:, 1] / high)
    middle = np.cos(np.radians(np.clip((row + 0.5) * high, -89.9, 89.9)))
    count = np.maximum(1, np.floor(360 * middle * _DEGREE / side))
    wide = 360 / count
    col = np.floor((centers[:, 0] + 180) / wide)
    lon, lat = np.moveaxis(corners, -1, 0)
    # A tile across the date line has corners on both sides of it.
    lon = centers[:, :1] + (lon - centers[:, :1] + 180) % 360 - 180
    west = lon - (col * wide - 180)[:, None]
    along = np.stack([_to_meridian(west, lat), _to_meridian(wide[:, None] - west, lat)])
    across = np.stack([lat - (row * high)[:, None], ((row + 1) * high)[:, None] - lat]) * _DEGREE
    return np.column_stack([row, col]).astype(np.int64), np.minimum(along, across).min((0, 2))


def _to_meridian(degrees: Floats, lat: Floats) -> Floats:
    """Returns kilometers to a meridian so many degrees away, along a great circle."""
    nearer = np.clip(np.radians(degrees), -np.pi / 2, np.pi / 2)
    return np.asarray(np.arcsin(np.cos(np.radians(lat)) * np.sin(nearer)) * RADIUS / 1000)


def pixel_blocks(corner: Ints, size: Ints, scenes: Ints, side: float) -> tuple[Ints, Floats]:
    """Cuts each scene into square blocks from its upper left corner.

    Args:
        corner: (n, 2) first row and column of each tile.
        size: (n, 2) height and width of each tile.
        scenes: (n, 2) height and width of each tile's scene.
        side: Pixels.

    Returns:
        (n, 2) row and column of each tile's block, and the least distance in pixels of each tile
        to a border with another block, negative where it reaches across.
    """
    block = np.floor((corner + size / 2) / side)
    low, high = block * side, (block + 1) * side
    before = np.where(block > 0, corner - low, np.inf)
    behind = np.where(high < scenes, high - corner - size, np.inf)
    return block.astype(np.int64), np.minimum(before, behind).min(1)
