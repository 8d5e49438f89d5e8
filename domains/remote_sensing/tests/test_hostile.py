"""Files that ask for more than they hold, and memory that stays flat."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from ssl_kit import DataError
from ssl_kit_remote_sensing.geotiff import GeoTiff, GeoTiffConfig


def opened(path: Path, **options: Any) -> GeoTiff:
    return GeoTiff.open(path, GeoTiffConfig(**options))


def empty(path: Path, size: int, **profile: Any) -> Path:
    """Writes a file without pixels: blocks that are left out are zeros."""
    pixel = profile.pop("pixel", 10)
    with rasterio.open(
        path, "w", driver="GTiff", height=size, width=size, count=1, crs="EPSG:32633",
        transform=Affine(pixel, 0, 5e5, 0, -pixel, 5e6), SPARSE_OK=True,
        **{"dtype": "uint8", "tiled": True, "blockxsize": 512, "blockysize": 512, **profile},
    ):  # fmt: skip
        pass
    return path


def test_a_header_that_declares_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    path = empty(tmp_path / "huge.tif", 200_000, blockxsize=4096, blockysize=4096)
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    with pytest.raises(DataError, match="cannot hold"):
        opened(path)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_a_block_too_large_to_decode_is_refused(tmp_path: Path) -> None:
    path = empty(tmp_path / "a.tif", 40_000, blockxsize=40_000, blockysize=40_000)
    with pytest.raises(DataError, match="blocks are 40000 x 40000"):
        opened(path)


def test_more_tiles_than_anyone_trains_on_are_refused(tmp_path: Path) -> None:
    data = opened(empty(tmp_path / "a.tif", 40_000), tile=16, stride=1)
    with pytest.raises(DataError, match=r"data\.options\.stride"):
        data[0]


def test_reading_a_stack_takes_the_memory_of_a_tile(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for name, size, pixel in (("red", 16_000, 10), ("swir_1", 8_000, 20), ("coastal", 2_000, 80)):
        empty(tmp_path / "s" / f"{name}.tif", size, pixel=pixel, dtype="int16")
    tracemalloc.start()
    data = opened(tmp_path, tile=256)
    assert data.read(len(data) // 2).shape == (256, 256, 3)
    # 3,969 tiles of 256 x 256 x 3; the scene in float32 would take 3 GB.
    assert tracemalloc.get_traced_memory()[1] < 8_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("content", [b"", b"II*\0", b"garbage" * 100, b"\0" * 5000])
@pytest.mark.parametrize("name", ["red.tif", "a_SCL.tif", "T32TQM_20200101T000000_B02.jp2"])
def test_garbage_has_one_plain_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        opened(tmp_path)[0]
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("bad", ["a/red.tif", "a/swir_1.tif"])
def test_a_damaged_band_makes_tiles_unreadable_and_nothing_else(
    write_tif, tmp_path: Path, bad: str
) -> None:
    rng = np.random.default_rng(0)
    write_tif(rng.integers(1, 9000, (300, 300, 1), dtype=np.uint16), "a/red.tif")
    write_tif(rng.integers(1, 9000, (150, 150, 1), dtype=np.uint16), "a/swir_1.tif", pixel=20)
    path = tmp_path / bad
    path.write_bytes(path.read_bytes()[:3000])
    data = opened(tmp_path, tile=128)
    with pytest.raises(DataError, match="damaged or cut off"):
        data[len(data) - 1]
