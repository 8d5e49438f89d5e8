from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit_remote_sensing.geotiff import GeoTiff, GeoTiffConfig
from ssl_kit_remote_sensing.recipe import brovey

SAFE = "S2A_MSIL2A_20220401T100031_{}_R122_T32TQM_20220401T123456.SAFE"
NAME = "T32TQM_20220401T100031"


def opened(path: Path, labels: Path | None = None, **options: Any) -> GeoTiff:
    return GeoTiff.open(path, GeoTiffConfig(**{"tile": 32, **options}), labels)


def smooth(size: int, seed: int, dtype: str = "uint16") -> np.ndarray:
    grid = np.random.default_rng(seed).uniform(1000, 5000, (6, 6)).astype(np.float32)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)[..., None].astype(dtype)


def halved(image: np.ndarray, times: int) -> np.ndarray:
    size = len(image) // times
    mean = image.reshape(size, times, size, times, 1).astype(float).mean((1, 3))
    return mean.round().astype(image.dtype)


@pytest.fixture
def write_safe(write_tif, tmp_path: Path) -> Any:
    """Writes bands of 10, 20 and 60 m as Sentinel-2 products name them, and what lies beside."""

    def write(folder: str = SAFE.format("N0400"), size: int = 96) -> Path:
        images = f"{folder}/GRANULE/L2A_T32TQM_A1/IMG_DATA"
        for meters, band, seed in ((10, "B04", 1), (20, "B04", 1), (10, "B08", 2), (20, "B11", 3),
                                   (60, "B01", 4)):  # fmt: skip
            image = halved(smooth(size, seed), meters // 10)
            write_tif(image, f"{images}/R{meters}m/{NAME}_{band}_{meters}m.tif", pixel=meters)
        picture = np.zeros((size, size, 3), np.uint8)
        write_tif(picture, f"{images}/R10m/{NAME}_TCI_10m.tif")
        write_tif(picture[..., :1], f"{folder}/GRANULE/L2A_T32TQM_A1/QI_DATA/MSK_DETFOO_B04.tif")
        return tmp_path

    return write


def test_band_files_of_three_resolutions_are_one_scene(write_safe) -> None:
    data = opened(write_safe())
    assert data.channels == ("coastal", "red", "nir", "swir_1")
    assert len(data) == 9
    for i in range(9):
        row, col = (data.index.positions[i, :2] - 16).astype(int)
        found = data.read(i) / 0.0001 + 1000  # back to the numbers of the product
        for channel, seed in ((1, 1), (2, 2), (3, 3), (0, 4)):
            exact = smooth(96, seed)[row : row + 32, col : col + 32, 0]
            inner = np.abs(found[4:-4, 4:-4, channel] - exact[4:-4, 4:-4])
            assert inner.max() < (0.6 if seed < 3 else 60 if seed == 3 else 500)


def test_an_asked_resolution_makes_the_grid(write_safe) -> None:
    data = opened(write_safe(), resolution=20)
    assert len(data) == 4
    found = data.read(0) / 0.0001 + 1000
    exact = halved(smooth(96, 1), 2)[:32, :32, 0]
    assert np.abs(found[2:-2, 2:-2, 1] - exact[2:-2, 2:-2]).max() < 40


def test_resolution_holds_for_whole_files_too(write_tif) -> None:
    image = np.concatenate([smooth(96, 1), smooth(96, 2)], axis=2)
    data = opened(write_tif(image), resolution=30, tile=64)
    exact = image.reshape(32, 3, 32, 3, 2).astype(float).mean((1, 3))
    assert data.read(0).shape == (32, 32, 2)
    assert np.abs(data.read(0) - exact)[1:-1, 1:-1].max() < 60


def test_pan_and_bands_with_half_a_pixel_of_offset_are_put_right(write_tif, tmp_path) -> None:
    # As in Landsat: the center of the first pixel of both is the same, so the corners differ.
    rows, cols = np.mgrid[:63, :63]
    fine = (1000 + 15 * rows + 30 * cols)[..., None].astype("uint16")
    for band in ("B2", "B3", "B4"):
        write_tif(fine[::2, ::2], f"LC08_L1TP_1_T1_{band}.TIF", pixel=30, at=(5e5, 5e6))
    write_tif(fine, "LC08_L1TP_1_T1_B8.TIF", pixel=15, at=(5e5 + 7.5, 5e6 - 7.5))
    data = opened(tmp_path, tile=64)
    assert data.channels == ("blue", "green", "pan", "red")
    found = (data.read(0) + 0.1) / 0.00002
    assert np.abs(found[4:-4, 4:-4] - fine[4:-4, 4:-4]).max() < 1
    sharp = opened(tmp_path, tile=64, pansharpen=True)
    assert sharp.channels == ("blue", "green", "red")
    assert np.allclose(sharp.read(0)[4:-4, 4:-4], data.read(0)[4:-4, 4:-4, [0, 1, 3]], atol=1e-3)


def test_brovey_is_its_formula_and_keeps_ratios() -> None:
    rng = np.random.default_rng(0)
    bands = {name: rng.uniform(0.1, 1, (5, 5)).astype("float32") for name in "abc"}
    pan, weights = rng.uniform(0.1, 1, (5, 5)).astype("float32"), {"a": 0.2, "b": 1.0, "c": 1.0}
    found = brovey(bands, pan, weights)
    for row, col in np.ndindex(5, 5):
        a, b, c = (float(bands[name][row, col]) for name in "abc")
        ratio = float(pan[row, col]) / ((0.2 * a + b + c) / 2.2)
        assert found["a"][row, col] == pytest.approx(a * ratio, rel=1e-5)
        assert found["b"][row, col] / found["c"][row, col] == pytest.approx(b / c, rel=1e-5)


def test_brovey_leaves_dark_pixels_alone() -> None:
    zero = np.zeros((2, 2), np.float32)
    assert np.array_equal(brovey({"a": zero}, zero + 1, {"a": 1.0})["a"], zero)


def test_the_product_tells_the_offset(write_safe) -> None:
    new = opened(write_safe(SAFE.format("N0400"))).read(0)
    old = opened(write_safe(SAFE.format("N0301")) / SAFE.format("N0301")).read(0)
    assert np.allclose(old - new, 0.1, atol=1e-5)


def test_folders_of_scenes_are_no_classes_but_their_parents_are(write_safe) -> None:
    folder = write_safe("p.SAFE")
    write_safe("q.SAFE")
    assert opened(folder / "p.SAFE").index.classes == ()


def test_plain_folders_of_bands(write_tif, tmp_path: Path) -> None:
    for place in ("city/a", "city/b", "field/c"):
        for band in ("red", "nir"):
            write_tif(smooth(32, 1), f"{place}/{band}.tif")
    data = opened(tmp_path)
    assert data.channels == ("red", "nir")
    assert [data.index.key(i) for i in range(3)] == ["city/a", "city/b", "field/c"]
    assert data.index.classes == ("city", "field")
    assert data.index.labels.tolist() == [0, 0, 1]
    assert opened(tmp_path / "city").index.classes == ()
    assert opened(tmp_path / "city" / "a").index.key(0) == "a"


def test_labels_of_a_scene_are_those_of_its_first_file(write_tif, tmp_path: Path) -> None:
    for place in ("a", "b"):
        for band in ("nir", "red"):
            write_tif(smooth(32, 1), f"{place}/{band}.tif")
    table = tmp_path / "l.csv"
    table.write_text("path,label,group\na/nir.tif,x,g\nb/nir.tif,y,g\n")
    index = opened(tmp_path, table).index
    assert index.classes == ("x", "y")
    assert len(np.unique(index.groups)) == 1


def test_single_band_images_without_a_sensor_stay_images(write_tif, tmp_path: Path) -> None:
    for name in ("well_B1", "well_B2"):
        write_tif(smooth(32, 1), f"{name}.tif")
    data = opened(tmp_path)
    assert [data.index.key(i) for i in range(2)] == ["well_B1.tif", "well_B2.tif"]
    assert opened(tmp_path, sensor="landsat7").channels == ("blue", "green")


def test_a_scene_that_lacks_a_band_is_unreadable(write_tif, tmp_path: Path) -> None:
    for place, bands in (("a", ("red", "nir")), ("b", ("red", "nir")), ("c", ("red",))):
        for band in bands:
            write_tif(smooth(32, 1), f"{place}/{band}.tif")
    data = opened(tmp_path)
    with pytest.raises(DataError, match="1-band uint16 where most files are 2-band"):
        data[2]


def test_bands_of_another_size_without_a_map_say_so(tmp_path: Path) -> None:
    for name, size in (("red", 32), ("nir", 16)):
        cv2.imwrite(str(tmp_path / f"{name}.tif"), smooth(size, 1))
    with pytest.raises(DataError, match="no map that tells"):
        opened(tmp_path)[0]


def test_jpeg_2000_is_read(write_tif, tmp_path: Path) -> None:
    image = smooth(64, 1)
    for band in ("B02", "B03"):
        name = f"{NAME}_{band}.jp2"
        write_tif(image, name, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
    assert GeoTiff.accepts(tmp_path)
    data = opened(tmp_path)
    assert data.channels == ("blue", "green")
    assert np.array_equal(data.read(0)[..., 0], image[:32, :32, 0])
    (tmp_path / f"{NAME}_B03.jp2").write_bytes(b"no picture")
    (tmp_path / f"{NAME}_B02.jp2").write_bytes(b"")
    with pytest.raises(DataError, match="None of the 2"):
        opened(tmp_path)


def test_no_data_of_a_coarse_band_stays_no_data(write_tif, tmp_path: Path) -> None:
    coarse = smooth(16, 2)
    coarse[:8] = 0
    write_tif(smooth(32, 1), "a/red.tif")
    write_tif(coarse, "a/swir_1.tif", pixel=20)
    found = opened(tmp_path).read(0)
    assert np.isnan(found[:14, :, 1]).all()
    assert np.nanmin(found[..., 1]) > 900


def test_a_stack_survives_pickling(write_safe) -> None:
    data = opened(write_safe())
    expected = data.read(4)
    assert np.array_equal(pickle.loads(pickle.dumps(data)).read(4), expected)


def test_a_real_file_is_named_by_its_product(geotiffs: Path) -> None:
    data = opened(geotiffs / "LE07_L2SP_225078_20110306_02_T1_B1.tif")
    assert data.channels == ("blue",)
    assert data.value_range[0, 0] > 0  # a float file has been scaled already


def test_real_naip_like_files_are_named_by_their_sensor(geotiffs: Path) -> None:
    data = opened(geotiffs / "rgbn.tif", sensor="naip", indices=("ndvi",))
    assert data.channels == ("red", "green", "blue", "nir", "ndvi")
    assert 0 <= data[0].image.min() <= data[0].image.max() <= 1
