from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.transform import Affine

from ssl_kit import UsageError
from ssl_kit.data.splits import split
from ssl_kit_remote_sensing.geotiff import GeoTiff, GeoTiffConfig
from ssl_kit_remote_sensing.ground import lonlat, map_blocks, meters
from ssl_kit_remote_sensing.headers import Header


def opened(path: Path, **options: Any) -> GeoTiff:
    return GeoTiff.open(path, GeoTiffConfig(**{"tile": 16, **options}))


def scene(height: int = 160, width: int = 160) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 255, (height, width, 1), np.uint8)


def haversine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns kilometers between all places of a (n, 2) and b (m, 2), degrees."""
    (lon_a, lat_a), (lon_b, lat_b) = np.radians(a).T[..., None], np.radians(b).T[:, None]
    half = (
        np.sin((lat_a - lat_b) / 2) ** 2
        + np.cos(lat_a) * np.cos(lat_b) * np.sin((lon_a - lon_b) / 2) ** 2
    )
    return 2 * 6371.0088 * np.arcsin(np.sqrt(half))


def edges(rows: np.ndarray, cols: np.ndarray, tile: int) -> np.ndarray:
    """Returns points along the edges of tiles, (n * 8, 2) row and column."""
    along = np.linspace(-0.5, 0.5, 3)
    square = [(a, b) for a in along for b in along if max(abs(a), abs(b)) == 0.5]
    return np.array([(r + a * tile, c + b * tile)
                     for r, c in zip(rows, cols, strict=True) for a, b in square])  # fmt: skip


def test_no_training_tile_is_nearer_to_a_test_tile_than_the_buffer(
    write_tif, tmp_path: Path
) -> None:
    # Two places in neighboring zones, on both sides of the border at 12 degrees east.
    places = {
        "a/1.tif": ("EPSG:32632", (7.35e5, 5e6)),
        "a/3.tif": ("EPSG:32633", (2.65e5, 4.985e6)),
        "b/2.tif": ("EPSG:32633", (2.6e5, 5e6)),
    }
    for name, (crs, at) in places.items():
        write_tif(scene(), name, pixel=100, crs=crs, at=at)
    data = opened(tmp_path, block="5km", buffer=1)
    parts = split(data.index, 0.25)
    assert 0 < len(parts.test) < len(parts.train)
    file = np.array([data.index.key(i).split("#")[0] for i in range(len(data))])
    outlines = {}
    for part, chosen in (("train", parts.train), ("test", parts.test)):
        found = []
        for name, (crs, at) in places.items():
            points = edges(*data.index.positions[chosen[file[chosen] == name], :2].T, 16)
            header = Header(1, 1, (1,), ("",), "uint8", False, crs, (100, 0, at[0], 0, -100, at[1]))
            found.append(lonlat([header], np.zeros(len(points), int), points.reshape(-1, 2)))
        outlines[part] = np.concatenate(found)
    assert haversine(outlines["train"], outlines["test"]).min() >= 1
    assert len(data) < len(opened(tmp_path, block="5km"))


def test_all_dates_of_a_place_are_in_one_block(write_tif, tmp_path: Path) -> None:
    for name in ("20160101", "20160517"):
        write_tif(scene(), f"p_{name}.tif")
    index = opened(tmp_path, block="0.5km").index
    half = len(index) // 2
    assert np.array_equal(index.groups[:half], index.groups[half:])
    assert len(np.unique(index.groups)) > 4


def test_real_dates_of_a_place_share_their_blocks(geotiffs: Path, tmp_path: Path) -> None:
    for name in ("rgbn_20160101.tif", "rgbn_20160517.tif"):
        (tmp_path / name).symlink_to(geotiffs / name)
    data = opened(tmp_path, tile=64, block="1km")
    half = len(data) // 2
    assert np.array_equal(data.index.groups[:half], data.index.groups[half:])


def test_distances_to_borders_on_the_map() -> None:
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(-70, 70, 200), rng.uniform(-180, 180, 200)
    places = np.column_stack([lon, lat])
    block, distance = map_blocks(places, np.repeat(places[:, None], 4, axis=1), 30.0)
    # Another place nearer than that is never of another block.
    for i in range(200):
        step = rng.normal(size=(50, 2))
        near = places[i] + 0.98 * distance[i] / 111.195 * step / np.hypot(*step.T)[:, None]
        assert haversine(places[i : i + 1], near).max() <= distance[i] * 1.001
        assert (map_blocks(near, np.repeat(near[:, None], 4, axis=1), 30.0)[0] == block[i]).all()
    assert 0 <= distance.min() < distance.max() <= 16


def test_a_tile_across_the_date_line_stays_small() -> None:
    corners = np.array([[[179.999, 0.1], [-179.999, 0.1], [179.999, 0.102], [-179.999, 0.102]]])
    center = np.array([[179.9999, 0.101]])
    assert abs(map_blocks(center, corners, 50.0)[1][0]) < 1


def test_blocks_of_pixels(write_tif) -> None:
    data = opened(write_tif(scene(64, 96)), block="32px")
    assert len(np.unique(data.index.groups)) == 6
    assert len(data) == 24
    for group in range(6):
        assert np.ptp(data.index.positions[data.index.groups == group, :2], axis=0).max() <= 16


def test_a_buffer_of_pixels_leaves_out_what_is_near_another_block(write_tif) -> None:
    data = opened(write_tif(scene(128, 128)), block="64px", buffer=8)
    rows, groups = data.index.positions[:, :2], data.index.groups
    apart = np.abs(rows[:, None] - rows[None]).max(2) - 16
    assert apart[groups[:, None] != groups[None]].min() >= 8
    assert sorted(set(rows[:, 0].tolist())) == [8, 24, 40, 88, 104, 120]  # the outer edge is none


def test_a_buffer_larger_than_the_blocks_says_so(write_tif) -> None:
    with pytest.raises(Exception, match="buffer"):
        opened(write_tif(scene()), block="0.2km", buffer=1)


def test_blocks_in_kilometers_need_a_map(tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "plain.tif"), scene())
    with pytest.raises(UsageError, match="px"):
        opened(tmp_path, block="1km")
    assert len(np.unique(opened(tmp_path, block="80px").index.groups)) == 4


@pytest.mark.parametrize("block", ["10", "km", "10 miles", "0km", "-1km"])
def test_a_block_needs_a_unit(block: str) -> None:
    with pytest.raises(ValueError, match="10km"):
        GeoTiffConfig(block=block)


def test_places_hold_across_zones() -> None:
    same = {"EPSG:32632": (735_000.0, 5e6), "EPSG:4326": (0.0, 0.0)}
    first = Header(1, 1, (1,), ("",), "uint8", False, "EPSG:32632",
                   (10, 0, same["EPSG:32632"][0], 0, -10, 5e6))  # fmt: skip
    lon, lat = lonlat([first], np.zeros(1, int), np.zeros((1, 2)))[0]
    second = Header(1, 1, (1,), ("",), "uint8", False, "EPSG:4326", (1, 0, lon, 0, -1, lat))
    both = lonlat([first, second], np.array([0, 1]), np.zeros((2, 2)))
    assert np.linalg.norm(np.diff(meters(both), axis=0)) < 0.01


def test_a_map_of_no_place_is_none(write_tif) -> None:
    data = opened(write_tif(scene(), transform=Affine(10, 0, 1e30, 0, -10, 1e30)))
    assert data.index.positions.shape[1] == 2
