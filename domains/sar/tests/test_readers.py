from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from ssl_kit import DataError, UsageError
from ssl_kit_sar.raster import SarRaster, SarRasterConfig
from ssl_kit_sar.sources import RasterSource, open_source
from ssl_kit_sar.targets import clutter


def speckle(height: int, width: int, bands: int = 1, seed: int = 0) -> np.ndarray:
    return clutter(np.random.default_rng(seed), height, width, bands)


def opened(path: Path, labels: Path | None = None, **options: Any) -> SarRaster:
    return SarRaster.open(path, SarRasterConfig(**options), labels)


def save(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


# Real files


def test_reads_real_complex_chips(real_data: Path) -> None:
    data = opened(real_data / "tsx_slc")
    assert len(data) == 480
    assert len(data.index.classes) == 8
    assert data.channels == ("sar_db",)
    low, high = data.value_range[0]
    assert high - low == 60
    for i in range(0, 480, 24):
        image = data[i].image
        assert image.shape == (64, 64, 1)
        assert np.isfinite(image).all()
        assert 0.2 < image.mean() < 0.8
    wanted = np.load(real_data / "tsx_slc" / data.index.key(7)).T
    assert np.allclose(10 ** (data.read(7)[..., 0] / 20), np.abs(wanted), rtol=1e-4)


def test_real_sublooks_are_less_alike_than_their_scene(real_data: Path) -> None:
    data = opened(real_data / "tsx_slc" / "forest", values="sublooks")
    looks = np.concatenate([data[i].image.reshape(-1, 2) for i in range(0, 60, 6)])
    assert abs(np.corrcoef(looks.T)[0, 1]) < 0.2


# Values


def test_axis_of_range_becomes_the_rows(tmp_path: Path) -> None:
    image = 1 + np.arange(600, dtype=np.float32).reshape(20, 30)
    path = save(tmp_path / "a.npy", image)
    asked = {"values": "amplitude"}
    assert np.allclose(opened(path, **asked).read(0)[..., 0], image.T)
    assert np.allclose(opened(path, range_axis="rows", **asked).read(0)[..., 0], image)


@pytest.mark.parametrize(
    ("stored", "pixel"), [("amplitude", 10.0), ("intensity", 100.0), ("db", 20.0)]
)
def test_what_is_stored_becomes_calibrated_decibels(
    tmp_path: Path, stored: str, pixel: float
) -> None:
    path = save(tmp_path / "a.npy", np.full((20, 20), pixel, np.float32))
    assert np.allclose(opened(path, stored=stored, calibration=0.01).read(0), 0, atol=1e-4)


def test_looks_are_averaged_and_tiles_keep_their_size(tmp_path: Path) -> None:
    z = speckle(128, 64)[..., 0]
    data = opened(save(tmp_path / "a.npy", z), tile=16, looks=(4, 2), values="amplitude")
    assert len(data) == 4  # 32 azimuth x 32 range pixels in tiles of 16
    assert data.read(0).shape == (16, 16, 1)
    assert data.read(0)[0, 0, 0] == pytest.approx(np.sqrt((np.abs(z[:4, :2]) ** 2).mean()))


def test_amplitudes_scale_from_zero(tmp_path: Path) -> None:
    data = opened(save(tmp_path / "a.npy", speckle(64, 64)[..., 0]), values="amplitude")
    assert data.value_range[0, 0] == 0


def test_complex_images_keep_phase_and_put_zero_in_the_middle(tmp_path: Path) -> None:
    z = speckle(32, 32)[..., 0]
    z[3, 5] = 0
    image = opened(save(tmp_path / "a.npy", z), values="complex")[0].image
    u = (2 * image - 1)[..., 0] + 1j * (2 * image - 1)[..., 1]
    assert image[5, 3].tolist() == [0.5, 0.5]
    strong = np.abs(z.T) > 0.01
    assert np.allclose(np.angle(u[strong]), np.angle(z.T[strong]), atol=1e-3)
    assert np.abs(u).max() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("values", ["complex", "sublooks"])
def test_values_that_need_phase_say_so(tmp_path: Path, values: str) -> None:
    path = save(tmp_path / "a.npy", np.ones((20, 20), np.float32))
    with pytest.raises(UsageError, match="not complex"):
        opened(path, values=values)


def test_complex_values_cannot_be_multilooked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="looks"):
        opened(save(tmp_path / "a.npy", speckle(20, 20)), values="complex", looks=(2, 2))


# Formats


def test_dual_polarization_geotiff(write_tif) -> None:
    image = (100 * np.abs(speckle(64, 96, 2))).astype("uint16") + 1
    data = opened(write_tif(image, descriptions=("VV", "VH")), tile=32)
    assert data.channels == ("vv_db", "vh_db")
    assert len(data) == 6
    wanted = 20 * np.log10(image[:32, 32:64].swapaxes(0, 1).astype(float))
    assert np.allclose(data.read(1), wanted, atol=1e-3)
    assert data.index.positions[1].tolist() == [16, 48]


def test_names_of_polarizations_can_be_given(write_tif) -> None:
    path = write_tif(np.ones((20, 20, 2), "uint16"))
    assert opened(path).channels == ("band1_db", "band2_db")
    assert opened(path, polarizations=("vv", "vh")).channels == ("vv_db", "vh_db")
    with pytest.raises(UsageError, match="3 names for 2 bands"):
        opened(path, polarizations=("a", "b", "c"))


@pytest.mark.parametrize("dtype", ["complex64", "complex_int16"])
def test_complex_geotiff(write_tif, dtype: str) -> None:
    z = np.round(50 * speckle(40, 40))
    data = opened(write_tif(z, dtype=dtype), range_axis="rows", values="amplitude")
    assert np.allclose(data.read(0), np.abs(z), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_the_bands_of_a_sicd_are_one_complex_image(write_tif, dtype: str) -> None:
    z = np.round(50 * speckle(40, 40)[..., 0])
    bands = np.stack([z.real, z.imag], axis=2).astype(dtype)
    path = write_tif(bands, name="sicd.nitf", ISUBCAT="I,Q", IREP="NODISPLY")
    data = opened(path, range_axis="rows", values="amplitude")
    assert data.channels == ("sar_amplitude",)
    assert np.allclose(data.read(0)[..., 0], np.abs(z), rtol=1e-4)


def test_a_sicd_of_eight_bits_is_refused(write_tif) -> None:
    bands = np.ones((20, 20, 2), "uint8")
    with pytest.raises(DataError, match="amplitude and phase"):
        opened(write_tif(bands, name="sicd.ntf", ISUBCAT="M,P", IREP="NODISPLY"))


def test_bands_that_are_no_backscatter_are_left_out(write_tif) -> None:
    image = np.stack([np.full((20, 20), value, "float32") for value in (-10, 35, -17)], axis=2)
    path = write_tif(image, descriptions=("VV", "angle", "VH"))
    data = opened(path)
    assert data.channels == ("vv_db", "vh_db")
    assert np.allclose(data.read(0)[0, 0], [-10, -17], atol=1e-4)
    assert "left out: angle" in " ".join(data.index.remarks)
    assert len(opened(path, polarizations=("vv", "angle", "vh")).channels) == 3


def test_a_color_table_is_no_backscatter(write_tif) -> None:
    path = write_tif(np.ones((20, 20, 1), "uint8"))
    with rasterio.open(path, "r+") as raster:
        raster.write_colormap(1, {0: (0, 0, 0), 1: (255, 0, 0)})
    with pytest.raises(DataError, match="color table"):
        opened(path)


def test_the_mask_of_a_file_is_no_data(write_tif) -> None:
    image = np.full((20, 20, 1), 50, "uint16")
    path = write_tif(image)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as raster:
        raster.write_mask(np.arange(400).reshape(20, 20) >= 100)
    assert np.isnan(opened(path, range_axis="rows").read(0)[:5]).all()


# What is wrong with files


def test_garbage_is_one_unreadable_sample_each(tmp_path: Path) -> None:
    for name in ("g1.npy", "g2.npy", "g3.npy"):
        save(tmp_path / name, speckle(20, 20)[..., 0])
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY\x01\x00\x08\x00{'descr'")
    (tmp_path / "empty.npy").touch()
    save(tmp_path / "real.npy", np.ones((20, 20)))
    data = opened(tmp_path)
    reasons = {"bad.npy": "is no NumPy array", "empty.npy": "the file is empty",
               "real.npy": "is 1-band real where most files are 1-band complex"}  # fmt: skip
    for i in range(len(data)):
        if reason := reasons.get(data.index.key(i)):
            with pytest.raises(DataError, match=reason):
                data[i]
        else:
            assert data[i].image.shape == (20, 20, 1)


def test_a_cut_off_array_has_a_plain_reason(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npy", speckle(64, 64)[..., 0])
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"'a\.npy' is no NumPy array: mmap length"):
        opened(path)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array(["text"]), "holds"),
        (np.ones(7), "no image"),
        (np.ones((30, 20, 20)), "data.reader=arrays"),
    ],
)
def test_arrays_that_are_no_radar_image(tmp_path: Path, array: np.ndarray, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        opened(save(tmp_path / "a.npy", array))


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="is no NumPy array"):
        opened(tmp_path / "a.npy")


def test_a_cut_off_tiff_has_a_plain_reason(write_tif) -> None:
    path = write_tif(speckle(200, 200), tiled=True, blockxsize=64, blockysize=64)
    path.write_bytes(path.read_bytes()[:60_000])
    data = opened(path)
    with pytest.raises(DataError, match=r"is damaged or cut off|cannot be opened"):
        data[0]


def test_a_tiny_file_that_declares_a_huge_image_is_refused(write_tif) -> None:
    path = write_tif(np.ones((16, 16, 1), "float32"), name="a.tif")
    raw = bytearray(path.read_bytes())
    for tag in (256, 257):  # width and length, in the directory of a little-endian TIFF
        entry = raw.find(tag.to_bytes(2, "little") + (3).to_bytes(2, "little"))
        raw[entry + 8 : entry + 10] = (60_000).to_bytes(2, "little")
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"declares|blocks|damaged|cannot be opened"):
        opened(path)[0]


def test_a_mixture_of_kinds_says_so(tmp_path: Path) -> None:
    save(tmp_path / "a.npy", speckle(20, 20))
    save(tmp_path / "b.npy", np.ones((20, 20)))
    with pytest.raises(DataError, match="of 2 kinds"):
        opened(tmp_path)


def test_a_file_that_vanishes_has_a_plain_reason(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npy", speckle(20, 20))
    data = pickle.loads(pickle.dumps(opened(path)))
    path.unlink()
    with pytest.raises(DataError, match="cannot be opened"):
        data.read(0)


def test_survives_pickling_and_forking(write_tif) -> None:
    data = opened(write_tif(speckle(64, 64)), tile=32)
    expected = data.read(3)  # opens the file in this process
    assert np.array_equal(pickle.loads(pickle.dumps(data)).read(3), expected)
    queue: Any = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(target=lambda: queue.put(data.read(3)))
    child.start()
    assert np.array_equal(queue.get(), expected)
    child.join()


def test_few_files_stay_open(tmp_path: Path) -> None:
    for number in range(40):
        save(tmp_path / f"{number}.npy", speckle(20, 20))
    assert len(opened(tmp_path)) == 40
    assert len(open_source) <= 32


def test_accepts_radar_files_but_not_folders_of_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "chips"
    folder.mkdir()
    save(folder / "a.npy", speckle(20, 20))
    assert SarRaster.accepts(folder / "a.npy")
    assert SarRaster.accepts(folder)
    for name in ("a.jpg", "b.png"):
        (folder / name).touch()
    assert not SarRaster.accepts(folder)


def test_sources_name_their_kind(write_tif) -> None:
    assert RasterSource(write_tif(speckle(16, 16))).kind == "1-band complex"


def test_options_that_give_the_channels_of_an_encoder(tmp_path: Path) -> None:
    data = opened(save(tmp_path / "a.npy", speckle(64, 64, 2)))
    assert data.options_for(("vv_db", "vh_db")) == {"polarizations": ["vv", "vh"]}
    assert data.options_for(("vv_db",)) == {}
