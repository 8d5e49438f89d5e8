from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit_remote_sensing.clouds import cloudy
from ssl_kit_remote_sensing.geotiff import GeoTiff, GeoTiffConfig


def opened(path: Path, **options: Any) -> GeoTiff:
    return GeoTiff.open(path, GeoTiffConfig(tile=32, **options))


def test_classes_of_sentinel_2() -> None:
    assert np.flatnonzero(cloudy(np.arange(12), "scl")).tolist() == [3, 8, 9, 10]


def test_bits_of_landsat() -> None:
    # The usual values of Collection 2: clear, water, cloud, shadow, cirrus, fill.
    values = np.array([21824, 21952, 22280, 23888, 54596, 1], np.uint16)
    assert cloudy(values, "qa_pixel").tolist() == [False, False, True, True, True, False]


def scene() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 255, (64, 64, 2), np.uint8)


def mask(value: int, dtype: str) -> np.ndarray:
    """The left upper tile is cloudy, a quarter of the right upper one too."""
    found = np.full((64, 64, 1), 0 if dtype == "uint8" else 64, dtype)
    found[:32, :40] = value
    return found


@pytest.mark.parametrize(
    ("ending", "value", "dtype"),
    [("SCL", 9, "uint8"), ("QA_PIXEL", 22280, "uint16"), ("fog", 1, "uint8")],
)
@pytest.mark.parametrize(("limit", "left"), [(1.0, 4), (0.5, 3), (0.1, 2)])
def test_a_mask_beside_the_scene_leaves_out_cloudy_tiles(
    write_tif, tmp_path: Path, ending: str, value: int, dtype: str, limit: float, left: int
) -> None:
    write_tif(scene(), "a.tif")
    write_tif(mask(value, dtype), f"a_{ending}.tif")
    data = opened(tmp_path, max_cloud=limit, cloud_band="fog" if ending == "fog" else "")
    assert len(data) == left
    assert len(data.channels) == 2
    assert all(data.index.key(i).startswith("a.tif") for i in range(left))


def test_a_mask_may_have_larger_pixels(write_tif, tmp_path: Path) -> None:
    write_tif(scene(), "a.tif")
    write_tif(mask(9, "uint8")[::2, ::2], "a_SCL.tif", pixel=20)
    assert len(opened(tmp_path)) == 3


def test_a_band_of_the_scene_may_be_the_mask(write_tif) -> None:
    image = np.concatenate([scene(), mask(9, "uint8")], axis=2)
    data = opened(write_tif(image, descriptions=("red", "nir", "SCL")))
    assert data.channels == ("red", "nir")
    assert len(data) == 3


def test_a_small_cloudy_image_is_left_out(write_tif, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_tif(scene()[:20, :20], f"{name}.tif")
    write_tif(mask(9, "uint8")[:20, :20], "a_SCL.tif")
    data = opened(tmp_path)
    assert [data.index.key(i) for i in range(len(data))] == ["b.tif"]


def test_without_a_mask_nothing_happens(write_tif) -> None:
    assert len(opened(write_tif(scene()), max_cloud=0)) == 4


def test_nothing_but_clouds_says_so(write_tif, tmp_path: Path) -> None:
    write_tif(scene(), "a.tif")
    write_tif(mask(9, "uint8") * 0 + 9, "a_SCL.tif")
    with pytest.raises(DataError, match="max_cloud"):
        opened(tmp_path)


def test_nothing_but_masks_says_so(write_tif, tmp_path: Path) -> None:
    write_tif(mask(9, "uint8"), "a_SCL.tif")
    with pytest.raises(DataError, match="masks of clouds"):
        opened(tmp_path)


def test_a_damaged_mask_makes_its_scene_unreadable(write_tif, tmp_path: Path) -> None:
    write_tif(scene(), "a.tif")
    write_tif(scene(), "b.tif")
    big = np.random.default_rng(0).integers(0, 12, (300, 300, 1), np.uint8)
    path = write_tif(big, "a_SCL.tif")
    path.write_bytes(path.read_bytes()[:20_000])
    data = opened(tmp_path)
    assert data.index.key(0) == "a.tif"
    with pytest.raises(DataError, match="damaged or cut off"):
        data[0]
    assert len(data) == 5
