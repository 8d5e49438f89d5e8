from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from ssl_kit import DataError
from ssl_kit_sar.raster import SarRaster, SarRasterConfig
from ssl_kit_sar.stored import find_fills, judge, unit_in


def opened(path: Path, **options: Any) -> SarRaster:
    return SarRaster.open(path, SarRasterConfig(range_axis="rows", **options))


def remarks(data: SarRaster) -> str:
    return " ".join(data.index.remarks)


def backscatter(seed: int = 0, mean: tuple[float, ...] = (-10, -17)) -> np.ndarray:
    """Returns decibels (64, 64, P) with speckle."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(mean, 2, (64, 64, len(mean))), np.float32)


def linear(seed: int = 0) -> np.ndarray:
    return np.asarray(10 ** (backscatter(seed) / 10), np.float32)


def declare(path: Path, **attributes: Any) -> Path:
    with rasterio.open(path, "r+") as raster:
        for name, values in attributes.items():
            setattr(raster, name, values)
    return path


# Units


def test_negative_values_are_decibels(write_tif) -> None:
    image = backscatter()
    data = opened(write_tif(image, descriptions=("VV", "VH")))
    assert np.allclose(data.read(0), image, atol=1e-3)
    assert "decibels (data.options.stored=db) because 100% of them are negative" in remarks(data)


def test_decibels_in_arrays_are_recognized(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", backscatter()[..., 0])
    assert np.allclose(opened(tmp_path).read(0), backscatter()[..., :1], atol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_positive_values_are_amplitudes_and_a_remark_names_the_other_reading(
    write_tif, dtype: str
) -> None:
    image = linear() if dtype == "float32" else (1000 * linear()).astype(dtype) + 1
    path = write_tif(image)
    data = opened(path)
    assert np.allclose(data.read(0), 20 * np.log10(image.astype(float)), atol=1e-3)
    assert f"amplitudes (data.options.stored=amplitude) because they are {dtype}" in remarks(data)
    assert "data.options.stored=intensity" in remarks(data)
    chosen = opened(path, stored="intensity")
    assert np.allclose(chosen.read(0), 10 * np.log10(image.astype(float)), atol=1e-3)
    assert not chosen.index.remarks


@pytest.mark.parametrize(
    ("names", "unit"),
    [
        (("Sigma0_VV_db", "Sigma0_VH_db"), "db"),
        (("Gamma0_VV", "Gamma0_VH"), "intensity"),
        (("Intensity_VV", "Intensity_VH"), "intensity"),
        (("Amplitude_VV", "Amplitude_VH"), "amplitude"),
    ],
)
def test_names_of_bands_tell_the_unit(write_tif, names: tuple[str, ...], unit: str) -> None:
    image = backscatter(mean=(20, 13)) if unit == "db" else linear()
    wanted = {"db": image, "intensity": 10 * np.log10(image), "amplitude": 20 * np.log10(image)}
    data = opened(write_tif(image, descriptions=names))
    assert np.allclose(data.read(0), wanted[unit], atol=1e-3)
    assert names[0] in remarks(data)
    assert not any("_db_db" in channel for channel in data.channels)


def test_a_unit_of_the_bands_counts_as_a_name(write_tif) -> None:
    path = declare(write_tif(backscatter(mean=(20, 13))), units=("dB", "dB"))
    assert np.allclose(opened(path).read(0), backscatter(mean=(20, 13)), atol=1e-3)


@pytest.mark.parametrize(
    ("file", "unit"),
    [
        ("S1A_IW_20180128T161201_DVP_RTC30_G_gpuned_FD6A.tif", "intensity"),
        ("S1A_IW_20180128T161201_DVP_RTC30_G_gdufed_FD6A.tif", "db"),
        ("scene_dB.tif", "db"),
        ("scene_sigma0.tif", "intensity"),
        ("power_plant_linear_b.tif", ""),
        ("dbscan.tif", ""),
    ],
)
def test_names_of_files_tell_the_unit(file: str, unit: str) -> None:
    assert unit_in([], [file])[0] == unit


def test_values_win_over_names_that_they_contradict(write_tif) -> None:
    data = opened(write_tif(backscatter(), descriptions=("Sigma0_VV", "Sigma0_VH")))
    assert np.allclose(data.read(0), backscatter(), atol=1e-3)
    assert "although the name 'Sigma0_VV' tells intensities" in remarks(data)
    with pytest.raises(DataError, match=r"no decibels, although .* data\.options\.stored"):
        opened(write_tif(linear(), descriptions=("VV_db", "VH_db")))


@pytest.mark.parametrize("stored", ["amplitude", "intensity"])
def test_a_unit_that_values_contradict_is_refused(write_tif, stored: str) -> None:
    with pytest.raises(DataError, match=r"negative numbers.*data\.options\.stored=db"):
        opened(write_tif(backscatter()), stored=stored)


def test_numbers_that_are_no_decibels_are_refused(write_tif) -> None:
    with pytest.raises(DataError, match="no decibels"):
        opened(write_tif(np.full((20, 20, 1), 500, "uint16")), stored="db")


def test_intensities_below_zero_after_noise_removal_stay_intensities(write_tif) -> None:
    image = linear() - np.float32(0.03)
    data = opened(write_tif(image), values="amplitude")
    assert np.allclose(data.read(0), np.sqrt(np.maximum(image, 0)), atol=1e-6)
    assert "noise removal" in remarks(data)


def test_unnamed_real_and_imaginary_parts_are_refused(write_tif) -> None:
    parts = np.random.default_rng(0).normal(0, 30, (64, 64, 2)).astype("float32")
    with pytest.raises(DataError, match="real and imaginary parts"):
        opened(write_tif(parts))


def test_named_real_and_imaginary_parts_are_complex(write_tif) -> None:
    parts = np.random.default_rng(0).normal(0, 30, (64, 64, 2)).astype("float32")
    data = opened(write_tif(parts, descriptions=("i_VV", "q_VV")), values="complex")
    assert data.channels == ("vv_real", "vv_imag")
    assert np.allclose(data.read(0), parts)


# Scale and offset


@pytest.mark.parametrize(
    ("dtype", "scale", "offset"), [("int16", 0.01, 0.0), ("uint8", 0.2, -40.0)]
)
def test_declared_scale_and_offset_are_applied(
    write_tif, dtype: str, scale: float, offset: float
) -> None:
    image = ((backscatter() - offset) / scale).round().astype(dtype)
    image[:20] = 0
    path = write_tif(image, nodata=0)
    path = declare(path, scales=(scale, scale), offsets=(offset, offset))
    data = opened(path)
    assert np.allclose(data.read(0)[20:], backscatter()[20:], atol=scale)
    assert np.isnan(data.read(0)[:20]).all()
    assert f"scale {scale:g} and the offset {offset:g}" in remarks(data)


def test_hundredths_of_decibels_ask_for_their_scale(write_tif) -> None:
    path = write_tif((100 * backscatter()).round().astype("int16"))
    with pytest.raises(DataError, match=r"data\.options\.scale=0\.01"):
        opened(path)
    assert np.allclose(opened(path, scale=0.01).read(0), backscatter(), atol=0.01)


# Missing data


def as_grd(decibels: np.ndarray) -> np.ndarray:
    return np.asarray(10 ** ((decibels + 60) / 20), "uint16")


@pytest.mark.parametrize(
    ("make", "fill"),
    [
        (backscatter, -9999), (backscatter, -3.4028235e38), (backscatter, 0), (backscatter, -99),
        (backscatter, -200), (linear, 9999),
        (linear, -9999), (linear, -3.4028235e38), (linear, -5), (linear, 1e20), (linear, 0),
        (lambda: as_grd(backscatter()).astype("int16"), -32768),
        (lambda: as_grd(backscatter()), 65535), (lambda: as_grd(backscatter()), 0),
    ],
)  # fmt: skip
def test_undeclared_fill_is_no_data(write_tif, make: Callable[[], Any], fill: float) -> None:
    clean = make()
    image = clean.copy()
    image[:16] = fill
    data, wanted = opened(write_tif(image)), opened(write_tif(clean[16:], name="b.tif"))
    assert np.allclose(data.value_range, wanted.value_range, atol=1)
    assert np.allclose(data.read(0)[16:], wanted.read(0), atol=1e-3)
    assert (data[0].image[:16] == 0).all()
    if fill or make is backscatter:
        assert f"{np.float32(fill):g} means no data" in remarks(data)


def test_saturated_scatterers_are_data() -> None:
    chip = np.random.default_rng(0).integers(1, 40, (4096, 1)).astype(float)
    chip[:100] = 255
    assert find_fills(chip) == ()


def test_two_levels_are_data() -> None:
    assert find_fills(np.array([[-20.0], [-10.0]] * 50)) == ()


def test_the_fill_can_be_named(write_tif) -> None:
    image = backscatter()
    image[:16] = -33
    data = opened(write_tif(image), nodata=-33)
    assert np.isnan(data.read(0)[:16]).all()


def test_infinity_is_no_data(tmp_path: Path) -> None:
    image = backscatter()[..., 0]
    image[:8] = np.inf
    np.save(tmp_path / "a.npy", image)
    data = opened(tmp_path)
    assert (data[0].image[:8] == 0).all()
    assert data.value_range[0, 1] < 10


def test_missing_pixels_of_a_signal_do_not_spoil_its_sublooks(write_tif) -> None:
    z = np.random.default_rng(0).normal(size=(64, 64, 2)).astype("float32").view("complex64")
    z[:, :8] = 0
    data = opened(write_tif(z, nodata=0), values="sublooks")
    assert np.isfinite(data.read(0)).mean() > 0.9


def test_a_file_without_data_is_no_image(write_tif) -> None:
    for name in "abc":
        image = linear() if name != "b" else linear() * 0
        path = write_tif(image, name=f"chips/{name}.tif")
    data = opened(path.parent)
    assert [data.index.key(i) for i in range(len(data))] == ["a.tif", "c.tif"]
    assert "1 tile with too little data is left out" in remarks(data)
    assert len(opened(path.parent, max_nodata=1)) == 3


# Mixtures


def test_a_file_of_another_unit_is_unreadable(write_tif) -> None:
    for n in range(3):
        path = write_tif(backscatter(n), name=f"mixed/{n}.tif")
    write_tif(linear(), name="mixed/x.tif")
    data = opened(path.parent)
    assert np.allclose(data.read(0), backscatter(), atol=1e-3)
    with pytest.raises(DataError, match="no decibels"):
        data.read(3)


def test_digital_numbers_among_calibrated_values_are_unreadable(write_tif) -> None:
    for n in range(3):
        path = write_tif(linear(n), name=f"mixed/{n}.tif")
    write_tif(as_grd(backscatter()), name="mixed/x.tif")
    write_tif(backscatter(), name="mixed/y.tif")
    data = opened(path.parent)
    with pytest.raises(DataError, match="uint16 and differs from most files by"):
        data.read(3)
    with pytest.raises(DataError, match="negative"):
        data.read(4)


def test_two_units_in_equal_shares_are_refused(write_tif) -> None:
    write_tif(linear(), name="mixed/a.tif")
    path = write_tif(backscatter(), name="mixed/b.tif")
    with pytest.raises(DataError, match=r"As many files hold decibels as do not \(1 each\)"):
        opened(path.parent)


def test_a_file_that_changes_its_unit_is_unreadable(write_tif) -> None:
    data = opened(write_tif(linear()))
    write_tif(backscatter())
    with pytest.raises(DataError, match="negative"):
        data.read(0)


def test_zeros_tell_nothing() -> None:
    assert judge(np.zeros(100), "float32").unit == "amplitude"


def test_a_run_says_if_other_data_are_far_from_its_own(write_tif) -> None:
    trained = opened(write_tif(backscatter()))
    positive = write_tif(backscatter(mean=(30, 25)), name="b.tif")
    options = SarRasterConfig()
    later = SarRaster.open(positive, options, value_range=trained.value_range)
    assert "differ by" in remarks(later)
    assert "differ by" not in remarks(opened(positive))
