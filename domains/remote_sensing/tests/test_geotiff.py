from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ssl_kit import DataError, UsageError
from ssl_kit_remote_sensing.geotiff import GeoTiff, GeoTiffConfig
from ssl_kit_remote_sensing.rasters import Rasters, _open_on_grid


def opened(path: Path, labels: Path | None = None, **options: Any) -> GeoTiff:
    return GeoTiff.open(path, GeoTiffConfig(**options), labels)


def ramp(height: int, width: int, bands: int = 2, dtype: str = "uint16") -> np.ndarray:
    """Every pixel different, none 0, so that a tile shows where it came from."""
    values = 1 + np.arange(height * width * bands).reshape(height, width, bands)
    return values.astype(dtype)


@pytest.mark.parametrize(
    ("name", "tiles", "bands", "dtype"),
    [
        ("LE07_L2SP_225078_20110306_02_T1_B1.tif", 1, 1, "float32"),
        ("landsat8_3band_uint16_1280.tif", None, 3, "float32"),
        ("rgbn.tif", 6, 4, "uint8"),
        ("rgbn_20160101.tif", 6, 4, "uint8"),
        ("rgbn_20160517.tif", 6, 4, "uint8"),
        ("torchsat_tiff_1channel_float.tif", 6, 1, "float32"),
        ("torchsat_tiff_3channel_uint16.tif", 6, 3, "float32"),
        ("torchsat_tiff_8channel_uint8.tif", 6, 8, "uint8"),
    ],
)
def test_reads_real_files(
    geotiffs: Path, name: str, tiles: int | None, bands: int, dtype: str
) -> None:
    data = opened(geotiffs / name)
    assert tiles in (None, len(data))
    for i in range(len(data)):
        image = data[i].image
        assert image.shape[2] == bands == len(data.channels)
        assert image.dtype == dtype
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert image.max() <= (255 if dtype == "uint8" else 1)


def test_takes_undeclared_zeros_of_uint16_for_no_data(geotiffs: Path) -> None:
    data = opened(geotiffs / "landsat8_3band_uint16_1280.tif")
    assert data.value_range[:, 0].min() > 1000  # and not 0, which would flatten the scene


def test_a_folder_of_many_kinds_says_so(geotiffs: Path) -> None:
    with pytest.raises(DataError, match=r"of 5 kinds .*3 4-band uint8"):
        opened(geotiffs)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_scales_every_type(write_tif, dtype: str) -> None:
    image = opened(write_tif(ramp(20, 20, dtype=dtype)))[0].image
    assert image.dtype == ("uint8" if dtype == "uint8" else "float32")
    assert image.max() > image.min()


def test_tiles_show_every_pixel(write_tif) -> None:
    image = ramp(70, 100)
    data = opened(write_tif(image), tile=32)
    seen = np.concatenate([data.read(i).reshape(-1, 2) for i in range(len(data))])
    assert np.array_equal(np.unique(seen), np.unique(image))


def test_tiles_have_one_size_and_their_center_for_position(write_tif) -> None:
    image = ramp(70, 100)
    data = opened(write_tif(image), tile=32)
    for i, (row, col) in enumerate(data.index.positions[:, :2].astype(int)):
        expected = image[row - 16 : row + 16, col - 16 : col + 16]
        assert np.array_equal(data.read(i), expected)


def test_stride_overlaps_tiles(write_tif) -> None:
    assert len(opened(write_tif(ramp(64, 64)), tile=32, stride=16)) == 9


def test_never_reads_more_than_a_tile(write_tif, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    load = Rasters._load

    def spy(self: Rasters, raster: Any, bands: Any, window: Any, shape: Any) -> Any:
        read.append(shape[0] * shape[1])
        return load(self, raster, bands, window, shape)

    monkeypatch.setattr(Rasters, "_load", spy)
    data = opened(write_tif(ramp(256, 256, 1, "float32"), nodata=1.0), tile=32)
    assert len(data.value_range) == 1
    assert [data[i].image.shape for i in range(len(data))] == [(32, 32, 1)] * 64
    # The mask: one pixel of 2 x 2 for so small a tile.
    assert [size for size in read if size > 32 * 32] == [128 * 128]


def test_a_small_raster_is_one_image(write_tif) -> None:
    data = opened(write_tif(ramp(20, 30)))
    assert data.index.key(0) == "scene.tif"
    assert data.read(0).shape == (20, 30, 2)


@pytest.mark.parametrize(("dtype", "hole"), [("uint8", 7), ("int16", -9999), ("float32", np.nan)])
def test_no_data_becomes_the_low_end(write_tif, dtype: str, hole: float) -> None:
    image = np.full((20, 20, 1), 100, dtype)
    image[10:] = 200
    image[:5] = hole
    scaled = opened(write_tif(image, nodata=hole))[0].image
    assert (scaled[:5] == 0).all()
    assert scaled[10:].min() > 0


def test_value_range_ignores_no_data_and_nan(write_tif) -> None:
    image = np.random.default_rng(0).uniform(10, 20, (40, 40, 1)).astype("float32")
    image[:10], image[10:15] = -9999, np.nan
    low, high = opened(write_tif(image, nodata=-9999)).value_range[0]
    assert 10 <= low < 11
    assert 19 < high <= 20


def test_the_nodata_option_masks_what_files_do_not_declare(write_tif) -> None:
    image = np.full((20, 20, 1), 100, "int16")
    image[0] = -1
    assert np.isnan(opened(write_tif(image), nodata=-1).read(0)[0]).all()


@pytest.mark.parametrize(("share", "left"), [(0.0, 2), (0.6, 4)])
def test_leaves_out_tiles_without_data(write_tif, share: float, left: int) -> None:
    image = ramp(64, 64, 1)
    image[:, :16] = 0
    assert len(opened(write_tif(image, nodata=0), tile=32, max_nodata=share)) == left


def test_a_scene_without_data_says_so(write_tif) -> None:
    with pytest.raises(DataError, match="max_nodata"):
        opened(write_tif(np.zeros((64, 64, 1), "uint16")), tile=32)


def test_an_alpha_band_is_a_mask(write_tif) -> None:
    image = np.full((20, 20, 4), 255, "uint8")
    image[:5, :, 3] = 0
    data = opened(write_tif(image, photometric="RGB", alpha="YES"))
    assert data.channels == ("red", "green", "blue")
    assert (data.read(0)[:5] == 0).all()


def test_what_gdal_calls_alpha_may_be_infrared(write_tif) -> None:
    image = np.full((20, 20, 4), 255, "uint8")
    image[:5, :, 3] = 0
    plain = write_tif(image, photometric="RGB", alpha="YES")
    assert opened(plain, sensor="naip").channels == ("red", "green", "blue", "nir")
    assert np.array_equal(opened(plain, sensor="naip").read(0), image)
    described = write_tif(image, descriptions=("red", "green", "blue", "nir"))
    assert np.array_equal(opened(described).read(0), image)


def test_bands_chooses_and_orders(write_tif) -> None:
    image = ramp(20, 20, 4)
    data = opened(write_tif(image), bands=(3, 1))
    assert data.channels == ("band3", "band1")
    assert np.array_equal(data.read(0), image[..., [2, 0]])


def test_names_come_from_descriptions(write_tif) -> None:
    path = write_tif(ramp(20, 20), descriptions=("NIR", "Red "))
    assert opened(path).channels == ("nir", "red")


def test_names_come_from_the_option(write_tif) -> None:
    assert opened(write_tif(ramp(20, 20)), channels=("a", "b")).channels == ("a", "b")


@pytest.mark.parametrize("options", [{"bands": (5,)}, {"bands": (1, 1)}, {"channels": ("a",)}])
def test_wrong_bands_are_a_usage_error(write_tif, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"data\.options\.(bands|channels)"):
        opened(write_tif(ramp(20, 20)), **options)


def test_labels_splits_and_groups_hold_for_all_tiles(write_tif, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_tif(ramp(64, 64), f"{name}.tif")
    table = tmp_path / "labels.csv"
    table.write_text("path,label,group,split\na.tif,city,north,train\nb.tif,field,south,test\n")
    index = opened(tmp_path, tile=32).index
    assert index.classes == ("city", "field")
    assert index.labels.tolist() == [0] * 4 + [1] * 4
    assert index.splits.tolist() == [1] * 4 + [3] * 4
    assert len(index.group_hashes(slice(0, 4))) == 1


def test_each_file_is_a_group(write_tif, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_tif(ramp(64, 64), f"{name}.tif")
    assert len(np.unique(opened(tmp_path, tile=32).index.groups)) == 2


def test_garbage_is_one_unreadable_sample(write_tif, tmp_path: Path) -> None:
    write_tif(ramp(20, 20), "good.tif")
    (tmp_path / "bad.tif").write_bytes(b"this is no TIFF")
    (tmp_path / "empty.tif").touch()
    data = opened(tmp_path)
    assert [data.index.key(i) for i in range(3)] == ["bad.tif", "empty.tif", "good.tif"]
    with pytest.raises(DataError, match="is no TIFF that can be opened"):
        data[0]
    with pytest.raises(DataError, match="the file is empty"):
        data[1]
    assert data[2].image.shape == (20, 20, 2)


def test_a_truncated_file_has_a_plain_reason(write_tif) -> None:
    path = write_tif(ramp(300, 300))
    path.write_bytes(path.read_bytes()[:60_000])
    data = opened(path)
    with pytest.raises(DataError, match="is damaged or cut off"):
        data[len(data) - 1]


def test_only_garbage_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "bad.tif").write_bytes(b"II*\0 and then nothing")
    with pytest.raises(DataError, match="None of the TIFF files"):
        opened(tmp_path)


def test_a_file_that_vanishes_has_a_plain_reason(write_tif) -> None:
    path = write_tif(ramp(20, 20))
    data = opened(path)
    path.unlink()
    with pytest.raises(DataError, match="cannot be opened"):
        data.read(0)


def test_a_file_of_another_kind_is_unreadable(write_tif, tmp_path: Path) -> None:
    for name, bands in (("a", 3), ("b", 3), ("c", 4)):
        write_tif(ramp(20, 20, bands), f"{name}.tif")
    data = opened(tmp_path)
    assert len(data.channels) == 3
    with pytest.raises(DataError, match="is 4-band uint16 where most files are 3-band uint16"):
        data[2]


def test_complex_pixels_are_refused(write_tif) -> None:
    with pytest.raises(DataError, match="complex64"):
        opened(write_tif(np.ones((20, 20, 1), "complex64")))


def test_a_plain_tiff_is_read_without_a_warning(tmp_path: Path) -> None:
    image = ramp(20, 20, 3, "uint8")
    cv2.imwrite(str(tmp_path / "plain.tif"), image[..., ::-1])
    assert np.array_equal(opened(tmp_path).read(0), image)


def test_many_files_do_not_stay_open(write_tif, tmp_path: Path) -> None:
    for number in range(70):
        write_tif(ramp(20, 20), f"{number}.tif")
    data = opened(tmp_path)
    for i in range(70):
        data.read(i)
    assert len(_open_on_grid) <= 64


def test_survives_pickling_and_forking(write_tif) -> None:
    data = opened(write_tif(ramp(64, 64)), tile=32)
    expected = data.read(3)  # opens the file in this process
    assert np.array_equal(pickle.loads(pickle.dumps(data)).read(3), expected)
    queue: Any = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(target=lambda: queue.put(data.read(3)))
    child.start()
    assert np.array_equal(queue.get(), expected)
    child.join()


def test_accepts_tiffs_but_not_folders_of_pictures(write_tif, tmp_path: Path) -> None:
    path = write_tif(ramp(20, 20), "tiffs/a.TIF")
    assert GeoTiff.accepts(path)
    assert GeoTiff.accepts(tmp_path)
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).touch()
    assert not GeoTiff.accepts(tmp_path)


def test_a_band_that_is_not_there_is_named_with_the_nearest(write_tif) -> None:
    path = write_tif(ramp(20, 20, 3), descriptions=["red", "nir", "swir_2"])
    for asked in ("swir2", "swir22"):  # the latter is STAC's name of the band
        with pytest.raises(UsageError, match=r"no band '\w+'. Did you mean 'swir_2'\?"):
            opened(path, bands=["red", asked])
    with pytest.raises(UsageError, match=r"Unknown band 'nirr'. Did you mean 'nir'\?"):
        opened(path, bands=["nirr"])


def test_options_that_give_the_channels_of_an_encoder(write_tif) -> None:
    named = opened(write_tif(ramp(20, 20, 3), descriptions=["red", "nir", "swir_2"]))
    assert named.options_for(("nir", "red")) == {"bands": ["nir", "red"]}
    assert named.options_for(("nir", "blue")) == {}
    nameless = opened(write_tif(ramp(20, 20, 5), "five.tif"))
    assert nameless.options_for(list("abcde")) == {"channels": list("abcde")}


def test_band_numbers_are_understood_with_a_sensor(write_tif) -> None:
    names = ("B2", "B3", "B4")
    options = {"channels": names, "sensor": "sentinel2"}
    assert opened(write_tif(ramp(20, 20, 3)), **options).channels == ("blue", "green", "red")


def test_reflectance_is_applied_to_bytes(write_tif) -> None:
    image = ramp(20, 6, 2, "uint8")
    data = opened(write_tif(image), reflectance=[0.004, 0])
    np.testing.assert_allclose(data.read(0), image * 0.004, rtol=1e-5)
    np.testing.assert_allclose(data.value_range, [[0, 1.02]] * 2, rtol=1e-5)
