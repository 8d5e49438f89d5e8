"""Missing data that no file declares, empty files, and color tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from ssl_kit import DataError
from ssl_kit_remote_sensing.geotiff import GeoTiff
from ssl_kit_remote_sensing.options import GeoTiffConfig

COLORS = {0: (255, 0, 0, 255), 1: (0, 255, 0, 255), 2: (9, 9, 200, 255)}


def opened(path: Path, **options: Any) -> GeoTiff:
    return GeoTiff(path, GeoTiffConfig(**options))


def ground(dtype: str, scale: float, offset: float = 0, bands: int = 1) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.random((64, 64, bands)) * scale + offset).astype(dtype)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("image", "fill"),
    [
        (ground("float32", 1), np.finfo("float32").min),
        (ground("float64", 1), np.finfo("float64").max),
        (ground("float32", 1, bands=2), -9999),
        (ground("float32", 3000), -999),
        (ground("int16", 5000, -500), -9999),
        (ground("int16", 5000), -32768),
        (ground("int32", 5000, -500), -(2**31)),
        (ground("uint16", 3000, 300, bands=4), 65535),
        (ground("float32", 0.8, 0.1, bands=4), 0),
        (ground("int16", 3000, 300, bands=3), 0),
    ],
)
def test_undeclared_fill_values_are_no_data(write_tif, image: np.ndarray, fill: float) -> None:
    low, high = float(image.min()), float(image.max())
    image[:12] = fill
    data = opened(write_tif(image))
    assert data.value_range.min() >= low
    assert data.value_range.max() <= high
    assert np.isnan(data.read(0)[:12]).all()
    assert np.array_equal(data.read(0)[12:], image[12:].astype(np.float32))
    assert f"{fill:.10g}" in data.index.remarks[0]


def test_one_file_of_many_has_the_fill_value(write_tif, tmp_path: Path) -> None:
    for i in range(12):
        image = ground("int16", 5000, -500)
        image[: 4 * (i == 5)] = -9999
        write_tif(image, f"{i:02d}.tif")
    assert opened(tmp_path).value_range.min() >= -500


def test_an_option_takes_all_values_for_measurements(write_tif) -> None:
    image = ground("float32", 1)
    image[:12] = -9999
    data = opened(write_tif(image), guess_nodata=False)
    assert data.read(0).min() == -9999
    assert not data.index.remarks


def test_the_sea_is_no_missing_data(write_tif) -> None:
    image = ground("float32", 3000, 300)
    image[:20] = 0
    data = opened(write_tif(image))
    assert data.read(0).min() == 0
    assert not data.index.remarks


@pytest.mark.parametrize(("nodata", "dtype"), [(0, "uint8"), (0, "uint16"), (None, "float32")])
def test_a_file_without_data_is_left_out(
    write_tif, tmp_path: Path, nodata: float | None, dtype: str
) -> None:
    for i in range(4):
        image = ground(dtype, 200, 20, bands=3)
        empty = np.full_like(image, nodata if nodata is not None else -9999)
        write_tif(empty if i == 2 else image, f"{i}.tif", nodata=nodata)
    data = opened(tmp_path)
    assert [data.index.key(i) for i in range(len(data))] == ["0.tif", "1.tif", "3.tif"]
    assert any("1 tile with too little data is left out" in remark for remark in data.index.remarks)
    assert len(opened(tmp_path, max_nodata=1)) == 4


def test_only_empty_files_are_refused(write_tif, tmp_path: Path) -> None:
    write_tif(ground("uint8", 0, bands=1), nodata=0)
    with pytest.raises(DataError, match="too little data"):
        opened(tmp_path)


def write_map(write_tif, colors: dict[int, tuple[int, ...]], **profile: Any) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, len(colors), (64, 64, 1), dtype=np.uint8)
    path = write_tif(image, **profile)
    with rasterio.open(path, "r+") as raster:
        raster.write_colormap(1, colors)
    return image


def test_a_color_table_gives_colors(write_tif, tmp_path: Path) -> None:
    image = write_map(write_tif, COLORS)
    data = opened(tmp_path)
    assert data.channels == ("red", "green", "blue")
    table = np.array(list(COLORS.values()), np.uint8)
    assert np.array_equal(data.read(0), table[image[..., 0], :3])
    assert "1 file holds numbers with a color table" in data.index.remarks[0]
    assert np.array_equal(opened(tmp_path, bands=["blue"]).read(0), table[image, 2])


def test_the_numbers_of_a_color_table_can_be_read(write_tif, tmp_path: Path) -> None:
    image = write_map(write_tif, COLORS)
    assert np.array_equal(opened(tmp_path, palette="numbers").read(0), image)


def test_colors_are_not_mixed_on_another_grid(write_tif, tmp_path: Path) -> None:
    write_map(write_tif, COLORS)
    pixels = opened(tmp_path, resolution=7).read(0).reshape(-1, 3)
    assert {tuple(pixel) for pixel in pixels.tolist()} <= {c[:3] for c in COLORS.values()}


def test_a_table_of_grays_stays_gray(write_tif, tmp_path: Path) -> None:
    image = write_map(write_tif, {i: (i, i, i, 255) for i in range(256)})
    assert np.array_equal(opened(tmp_path).read(0), image)


def test_further_pages_are_remarked(write_tif, tmp_path: Path) -> None:
    image = ground("uint8", 200)
    write_tif(image)
    write_tif(image, APPEND_SUBDATASET="YES")
    assert "of which only the first is used" in opened(tmp_path).index.remarks[0]


def test_images_of_imagej_that_are_no_pages_are_remarked(write_tif, tmp_path: Path) -> None:
    path = write_tif(ground("uint16", 3000, 300))
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(TIFFTAG_IMAGEDESCRIPTION="ImageJ=1.11a\nimages=10\nmode=gray\n")
    assert "1 TIFF file is a stack of ImageJ" in opened(tmp_path).index.remarks[0]


def test_most_files_decide_on_the_names_of_bands(write_tif, tmp_path: Path) -> None:
    image = ground("uint16", 3000, 300, bands=2)
    for i in range(4):
        names = ("red", "nir") if i else ("nir", "red")
        write_tif(image, f"{i}.tif", descriptions=names)
    data = opened(tmp_path)
    assert data.channels == ("red", "nir")
    with pytest.raises(DataError, match="nir, red where others have red, nir"):
        data.read(0)


def with_alpha(write_tif, bands: int, dtype: str, **profile: Any) -> Path:
    """Writes bands and an alpha band that says that the upper quarter holds no data."""
    image = ground(dtype, 100, 50, bands + 1)
    image[..., -1] = 255
    image[:16] = 0
    path: Path = write_tif(image, photometric="minisblack", **profile)
    with rasterio.open(path, "r+") as raster:
        others = (ColorInterp.gray, *[ColorInterp.undefined] * (bands - 1))
        raster.colorinterp = (*others, ColorInterp.alpha)
    return path


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5])
def test_an_alpha_band_is_a_mask_beside_any_number_of_bands(write_tif, bands: int) -> None:
    data = opened(with_alpha(write_tif, bands, "int16"), guess_nodata=False)
    image = data.read(0)
    assert image.shape[2] == bands
    assert np.isnan(image[:16]).all()
    assert not np.isnan(image[16:]).any()


def test_an_alpha_band_is_a_mask_beside_a_declared_value(write_tif) -> None:
    data = opened(with_alpha(write_tif, 3, "int16", nodata=-1))
    assert np.isnan(data.read(0)[:16]).all()


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_an_alpha_band_is_a_mask_on_another_grid(write_tif, bands: int) -> None:
    data = opened(with_alpha(write_tif, bands, "int16"), resolution=20, guess_nodata=False)
    image = data.read(0)
    assert np.isnan(image[:7]).all()
    assert not np.isnan(image[9:]).any()
