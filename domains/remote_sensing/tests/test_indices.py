from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ssl_kit import UsageError
from ssl_kit_remote_sensing.bands import INDICES
from ssl_kit_remote_sensing.geotiff import GeoTiff, GeoTiffConfig
from ssl_kit_remote_sensing.indices import bands_of, compute

NAMES = ("blue", "green", "red", "red_edge_1", "nir", "swir_1", "swir_2")


def slow(name: str, b: dict[str, float]) -> float:
    """Restates the definitions, in float64."""
    formulas = {
        "ndvi": lambda: (b["nir"] - b["red"]) / (b["nir"] + b["red"]),
        "ndwi": lambda: (b["green"] - b["nir"]) / (b["green"] + b["nir"]),
        "mndwi": lambda: (b["green"] - b["swir_1"]) / (b["green"] + b["swir_1"]),
        "ndbi": lambda: (b["swir_1"] - b["nir"]) / (b["swir_1"] + b["nir"]),
        "ndmi": lambda: (b["nir"] - b["swir_1"]) / (b["nir"] + b["swir_1"]),
        "nbr": lambda: (b["nir"] - b["swir_2"]) / (b["nir"] + b["swir_2"]),
        "ndre": lambda: (b["nir"] - b["red_edge_1"]) / (b["nir"] + b["red_edge_1"]),
        "savi": lambda: 1.5 * (b["nir"] - b["red"]) / (b["nir"] + b["red"] + 0.5),
    }
    return float(formulas[name]())


@pytest.mark.parametrize("name", INDICES)
def test_an_index_is_its_formula(name: str) -> None:
    pixels = np.random.default_rng(0).uniform(0.01, 0.6, (20, len(NAMES)))
    columns = dict(zip(NAMES, pixels.astype(np.float32).T, strict=True))
    found = compute(name, *(columns[band] for band in bands_of(name)))
    expected = [slow(name, dict(zip(NAMES, row, strict=True))) for row in pixels]
    assert np.allclose(found, expected, atol=1e-5)


def test_an_index_never_leaves_its_range_and_keeps_holes() -> None:
    first = np.array([0.0, -0.1, 0.5, np.nan, 0.3, -0.1], np.float32)
    second = np.array([0.0, -0.1, -0.1, 0.2, np.nan, 0.11], np.float32)
    found = compute("ndvi", first, second)
    assert np.isnan(found[[3, 4]]).all()
    assert found[[0, 1, 2]].tolist() == [0, 0, 1]
    assert np.nanmax(np.abs(found)) <= 1


def four(dtype: str) -> np.ndarray:
    image = np.random.default_rng(1).integers(100, 250, (20, 20, 4)).astype(dtype)
    image[0] = 0
    return image


def opened(path: Any, **options: Any) -> GeoTiff:
    return GeoTiff.open(path, GeoTiffConfig(**options))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_indices_become_channels_with_a_fixed_range(write_tif, dtype: str) -> None:
    image = four(dtype)
    path = write_tif(image, descriptions=("blue", "green", "red", "nir"), nodata=0)
    data = opened(path, indices=("ndvi", "ndwi"))
    assert data.channels == ("blue", "green", "red", "nir", "ndvi", "ndwi")
    assert data.value_range[4:].tolist() == [[-1, 1], [-1, 1]]
    red, nir = image[1:, :, 2].astype(float), image[1:, :, 3].astype(float)
    assert np.allclose(data.read(0)[1:, :, 4], (nir - red) / (nir + red), atol=1e-5)
    assert (data[0].image[0] == 0).all()  # no data: the low end
    if dtype == "uint8":
        assert np.allclose(data[0].image[1:, :, :4], image[1:] / 255, atol=1e-6)


def test_an_index_needs_not_have_its_bands_among_the_channels(write_tif) -> None:
    path = write_tif(four("uint8"), descriptions=("blue", "green", "red", "nir"))
    assert opened(path, bands=("green",), indices=("ndvi",)).channels == ("green", "ndvi")


def test_the_narrow_infrared_stands_in(write_tif) -> None:
    path = write_tif(four("uint8"), descriptions=("blue", "green", "red", "nir08"))
    assert "ndvi" in opened(path, indices=("ndvi",)).channels


def test_an_absent_band_is_named(write_tif) -> None:
    path = write_tif(four("uint8"), descriptions=("blue", "green", "red", "nir"))
    with pytest.raises(UsageError, match="swir_2"):
        opened(path, indices=("nbr",))


def test_savi_needs_reflectance(write_tif) -> None:
    path = write_tif(four("uint16"), descriptions=("blue", "green", "red", "nir"))
    with pytest.raises(UsageError, match="reflectance"):
        opened(path, indices=("savi",))
    image = four("uint16")[5, 5] * 0.001 - 0.01
    found = opened(path, indices=("savi",), reflectance=(0.001, -0.01)).read(0)[5, 5]
    assert np.allclose(found[:4], image, atol=1e-6)
    expected = slow("savi", dict(zip(("blue", "green", "red", "nir"), image, strict=True)))
    assert found[4] == pytest.approx(expected, abs=1e-5)


def test_a_fixed_range_holds_for_the_bands(write_tif) -> None:
    path = write_tif(four("uint16"), descriptions=("thermal", "green", "red", "nir"))
    found = opened(path, range=(0, 1000), indices=("ndvi",)).value_range
    assert found[1:].tolist() == [[0, 1000]] * 3 + [[-1, 1]]
    assert found[0, 1] < 1000


def test_an_offset_changes_an_index_and_the_files_say_it(write_tif) -> None:
    import rasterio

    path = write_tif(four("uint16"), descriptions=("blue", "green", "red", "nir"))
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = (0.0001,) * 4, (-0.005,) * 4
    red, nir = four("uint16")[5, 5, 2:] * 0.0001 - 0.005
    found = opened(path, indices=("ndvi",)).read(0)[5, 5]
    assert found[4] == pytest.approx((nir - red) / (nir + red), abs=1e-5)
    assert found[3] == pytest.approx(nir, abs=1e-6)
