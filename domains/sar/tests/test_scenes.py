from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit_sar.raster import SarRaster, SarRasterConfig
from ssl_kit_sar.scenes import join, polarization_of


def opened(path: Path, **options: Any) -> SarRaster:
    return SarRaster.open(path, SarRasterConfig(range_axis="rows", values="amplitude", **options))


def image(value: int, side: int = 20) -> np.ndarray:
    return np.full((side, side, 1), value, "uint16")


@pytest.mark.parametrize(
    "names", [("a_VV.tif", "a_VH.tif"), ("VV/a.tif", "VH/a.tif"), ("vv-a.tif", "vh-a.tif")]
)
def test_polarizations_in_two_files_are_one_image(
    write_tif, tmp_path: Path, names: tuple[str, str]
) -> None:
    for n, name in enumerate(names):
        write_tif(image(5 + n), name=f"d/{name}")
        write_tif(image(5 + n), name=f"d/{name.replace('a', 'b')}")
    data = opened(tmp_path / "d")
    assert data.channels == ("vv_amplitude", "vh_amplitude")
    assert len(data) == 2
    assert data.read(0)[3, 3].tolist() == [5, 6]
    assert not data.index.classes
    assert "data.options.join=false" in " ".join(data.index.remarks)


def test_each_file_can_be_an_image(write_tif, tmp_path: Path) -> None:
    for n, name in enumerate(("VV", "VH")):
        write_tif(image(5 + n), name=f"a_{name}.tif")
    data = opened(tmp_path, join=False)
    assert len(data) == 2
    assert "different bands (1 vh, 1 vv)" in " ".join(data.index.remarks)


def test_a_scene_that_lacks_a_polarization_is_unreadable(write_tif, tmp_path: Path) -> None:
    for name in ("a_VV", "a_VH", "b_VV", "b_VH", "c_VV"):
        write_tif(image(5), name=f"{name}.tif")
    data = opened(tmp_path)
    with pytest.raises(DataError, match="is 1-band real where most files are 2-band real"):
        data.read(2)


def test_polarizations_of_unequal_sizes_are_unreadable(write_tif, tmp_path: Path) -> None:
    for name in ("a_VV", "a_VH"):
        write_tif(image(5, 20 if name == "a_VV" else 30), name=f"{name}.tif")
    with pytest.raises(DataError, match=r"20 x 20 pixels, and .* 30 x 30"):
        opened(tmp_path)


def test_tables_name_a_file_of_the_scene(write_tif, tmp_path: Path) -> None:
    for name in ("a_vv", "a_vh", "b_vv", "b_vh"):
        write_tif(image(5), name=f"{name}.tif")
    (tmp_path / "labels.csv").write_text("path,label\na_vv.tif,sea\nb_vv.tif,ice\n")
    index = opened(tmp_path).index
    assert [index.label(i) for i in range(2)] == ["sea", "ice"]


def test_only_a_polarization_that_stands_alone_counts() -> None:
    assert polarization_of("movvie.tif")[1] == ""
    assert polarization_of("x/a_HH_HV.tif")[1] == ""
    assert join(["a_vv.tif", "b_vh.tif", "c/a_vh.tif"]) == {}
    assert join(["s1a-iw-grd-vh-1-2-002.tiff", "s1a-iw-grd-vv-1-2-001.tiff"]) == {
        1: {"vv": 1, "vh": 0}
    }
