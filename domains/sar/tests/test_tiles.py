from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit_sar.raster import SarRaster, SarRasterConfig
from ssl_kit_sar.sources import ArraySource
from ssl_kit_sar.targets import clutter


def speckle(height: int, width: int, bands: int = 1, seed: int = 0) -> np.ndarray:
    return clutter(np.random.default_rng(seed), height, width, bands)


def opened(path: Path, labels: Path | None = None, **options: Any) -> SarRaster:
    return SarRaster.open(path, SarRasterConfig(**options), labels)


def save(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def test_tiles_cover_a_scene_and_never_is_more_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = opened(save(tmp_path / "a.npy", speckle(100, 70)[..., 0]), tile=32)
    read: list[tuple[int, int]] = []
    original = ArraySource.read

    def spy(self: Any, top: int, left: int, height: int, width: int) -> Any:
        read.append((height, width))
        return original(self, top, left, height, width)

    monkeypatch.setattr(ArraySource, "read", spy)
    assert len(data) == 4 * 3
    assert {data[i].image.shape for i in range(len(data))} == {(32, 32, 1)}
    assert set(read) == {(32, 32)}
    assert data.index.positions.max(0).tolist() == [100 - 16, 70 - 16]


@pytest.mark.parametrize(("share", "left"), [(0.0, 2), (0.6, 4)])
def test_leaves_out_tiles_without_data(write_tif, share: float, left: int) -> None:
    image = np.full((64, 64, 1), 7, "uint16")
    image[:, :16] = 0
    assert len(opened(write_tif(image), tile=32, max_nodata=share)) == left


def test_declared_nodata_becomes_the_lowest_value(write_tif) -> None:
    image = np.full((20, 20, 1), 100, "float32")
    image[0] = -9999
    assert (opened(write_tif(image, nodata=-9999), range_axis="rows")[0].image[0] == 0).all()


def test_a_scene_without_data_says_so(write_tif) -> None:
    with pytest.raises(DataError, match="max_nodata"):
        opened(write_tif(np.zeros((64, 64, 1), "uint16")), tile=32)


def test_labels_groups_and_splits_hold_for_all_tiles(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"{name}.npy", speckle(64, 64)[..., 0])
    table = tmp_path / "labels.csv"
    table.write_text("path,label,group,split\na.npy,sea,north,train\nb.npy,ice,south,test\n")
    index = opened(tmp_path, tile=32).index
    assert index.classes == ("ice", "sea")
    assert index.labels.tolist() == [1] * 4 + [0] * 4
    assert index.splits.tolist() == [1] * 4 + [3] * 4
