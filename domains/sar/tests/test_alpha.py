"""Alpha bands of radar files, as `gdalwarp -dstalpha` adds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from ssl_kit_sar.raster import SarRaster, SarRasterConfig


def opened(path: Path, **options: Any) -> SarRaster:
    how = {"range_axis": "rows", "values": "amplitude", "stored": "amplitude", "max_nodata": 1}
    return SarRaster.open(path, SarRasterConfig(**{**how, **options}))


def write_with_alpha(write_tif, bands: int, name: str = "a.tif") -> Path:
    """Writes amplitudes of 100, and an alpha band that is 0 in the upper five of 20 rows."""
    image = np.full((20, 20, bands + 1), 100, "uint16")
    image[..., -1] = 65535
    image[:5, :, -1] = 0
    path: Path = write_tif(image, name=name)
    with rasterio.open(path, "r+") as raster:
        others = (ColorInterp.gray, *[ColorInterp.undefined] * (bands - 1))
        raster.colorinterp = (*others, ColorInterp.alpha)
    return path


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_an_alpha_band_is_a_mask_and_no_polarization(write_tif, bands: int) -> None:
    data = opened(write_with_alpha(write_tif, bands))
    signal = data.signal(0)
    assert signal.shape[2] == bands
    assert np.isnan(signal).all(2)[:, 0].tolist() == [True] * 5 + [False] * 15
    assert np.allclose(signal[5:], 100**2)
    assert "alpha band" in " ".join(data.index.remarks)


def test_names_are_of_the_polarizations_or_of_all_bands(write_tif) -> None:
    path = write_with_alpha(write_tif, 2)
    assert opened(path, polarizations=("vv", "vh")).channels == ("vv_amplitude", "vh_amplitude")
    assert len(opened(path, polarizations=("vv", "vh", "hh")).channels) == 3


def test_polarizations_in_two_files_have_an_alpha_band_each(write_tif, tmp_path: Path) -> None:
    for name in ("a_VV.tif", "a_VH.tif"):
        write_with_alpha(write_tif, 1, f"d/{name}")
    data = opened(tmp_path / "d", polarizations=("vv", "vh"))
    assert data.channels == ("vv_amplitude", "vh_amplitude")
    assert np.isnan(data.signal(0)[:5]).all()
