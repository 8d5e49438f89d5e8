from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_kit import DataError, UsageError
from ssl_kit_sar.raster import SarRaster, SarRasterConfig

PRODUCT = "S1A_IW_GRDH_1SDV_20200101T000000_20200101T000025_030000_030000_AAAA.SAFE"
NAME = "s1a-iw-grd-{}-20200101t000000-20200101t000025-030000-030000-00{}"
LINES, PIXELS = (-3, 20, 50), (0, 15, 39)
HEIGHT, WIDTH = 45, 40


def opened(path: Path, **options: Any) -> SarRaster:
    return SarRaster.open(path, SarRasterConfig(range_axis="rows", values="amplitude", **options))


def vectors(kind: str, table: np.ndarray, element: str) -> str:
    """Writes a table as the products do: a vector of pixels and values for each line."""
    return f"<{kind}List count='{len(LINES)}'>" + "".join(
        f"<{kind}><line>{line}</line><pixel count='3'>{' '.join(map(str, PIXELS))}</pixel>"
        f"<{element} count='3'>{' '.join(map(str, values))}</{element}></{kind}>"
        for line, values in zip(LINES, table, strict=True)
    ) + f"</{kind}List>"  # fmt: skip


@pytest.fixture
def product(tmp_path: Path, write_tif) -> dict[str, Any]:
    """A dual polarization product, its numbers and its tables by polarization."""
    rng = np.random.default_rng(0)
    content: dict[str, Any] = {"folder": tmp_path / PRODUCT}
    folder = tmp_path / PRODUCT / "annotation" / "calibration"
    folder.mkdir(parents=True)
    (tmp_path / PRODUCT / "preview").mkdir()
    for name in ("quick-look.png", "logo.png", "icon.png"):
        (tmp_path / PRODUCT / "preview" / name).touch()
    for number, name in enumerate(("vv", "vh"), start=1):
        stem = NAME.format(name, number)
        pixels = rng.integers(50, 400, (HEIGHT, WIDTH, 1)).astype("uint16")
        pixels[:, :4] = 0
        gain, noise = rng.uniform(200, 700, (3, 3)), rng.uniform(500, 3000, (3, 3))
        write_tif(pixels, name=f"{PRODUCT}/measurement/{stem}.tiff", crs=None)
        (folder / f"calibration-{stem}.xml").write_text(
            "<calibration>" + vectors("calibrationVector", gain, "sigmaNought") + "</calibration>"
        )
        azimuth = (
            "<noiseAzimuthVectorList><noiseAzimuthVector><swath>IW1</swath>"
            "<firstAzimuthLine>0</firstAzimuthLine><firstRangeSample>10</firstRangeSample>"
            "<lastAzimuthLine>30</lastAzimuthLine><lastRangeSample>39</lastRangeSample>"
            "<line count='2'>0 30</line><noiseAzimuthLut count='2'>0.5 1.5</noiseAzimuthLut>"
            "</noiseAzimuthVector></noiseAzimuthVectorList>"
        )
        ranged = vectors("noiseRangeVector", noise, "noiseRangeLut")
        (folder / f"noise-{stem}.xml").write_text(f"<noise>{ranged}{azimuth}</noise>")
        content[name] = pixels[..., 0], gain, noise
    return content


def looked_up(table: np.ndarray, line: int, pixel: int) -> float:
    """Interpolates bilinearly, one pixel at a time."""
    a = max(k for k in range(2) if LINES[k] <= line or k == 0)
    b = max(k for k in range(2) if PIXELS[k] <= pixel or k == 0)
    v = (line - LINES[a]) / (LINES[a + 1] - LINES[a])
    u = (pixel - PIXELS[b]) / (PIXELS[b + 1] - PIXELS[b])
    upper = (1 - u) * table[a, b] + u * table[a, b + 1]
    lower = (1 - u) * table[a + 1, b] + u * table[a + 1, b + 1]
    return float((1 - v) * upper + v * lower)


@pytest.mark.parametrize("denoise", [False, True])
def test_tables_give_sigma_nought(product: dict[str, Any], denoise: bool) -> None:
    data = opened(product["folder"], denoise=denoise)
    assert data.channels == ("vv_amplitude", "vh_amplitude")
    image = data.read(0)
    for channel, name in enumerate(("vv", "vh")):
        pixels, gain, noise = product[name]
        for line, pixel in [(0, 0), (0, 10), (7, 15), (20, 39), (31, 22), (44, 5), (29, 30)]:
            power = float(pixels[line, pixel]) ** 2
            if denoise and power:
                block = line <= 30 and pixel >= 10
                factor = 0.5 + line / 30 if block else 1.0
                eta = looked_up(noise, line, pixel) * factor
                power = max(power - eta, 1e-4 * eta)
            wanted = np.sqrt(power) / looked_up(gain, line, pixel)
            assert image[line, pixel, channel] == pytest.approx(wanted, rel=1e-5)


def test_tiles_are_calibrated_at_their_place(product: dict[str, Any]) -> None:
    whole = opened(product["folder"]).read(0)
    tiles = opened(product["folder"], tile=16, max_nodata=1)
    row, column = tiles._corner[4]
    assert np.allclose(tiles.read(4), whole[row : row + 16, column : column + 16])


def test_a_product_is_read_whatever_folder_is_given(product: dict[str, Any]) -> None:
    folder = product["folder"]
    file = next((folder / "measurement").iterdir())
    for path in (folder, folder.parent, folder / "measurement", file):
        assert SarRaster.accepts(path)
        data = opened(path)
        assert len(data) == 1
        assert not data.index.classes
        assert any("sigmaNought" in remark for remark in data.index.remarks)
    assert opened(folder.parent).index.group(0) == PRODUCT


def test_the_stored_numbers_are_an_option(product: dict[str, Any]) -> None:
    data = opened(product["folder"], calibration_table="none")
    assert np.allclose(data.read(0)[..., 0], product["vv"][0])
    with pytest.raises(UsageError, match="denoise"):
        opened(product["folder"], calibration_table="none", denoise=True)


def test_a_missing_noise_table_is_named(product: dict[str, Any]) -> None:
    for path in (product["folder"] / "annotation" / "calibration").glob("noise-*"):
        path.unlink()
    assert len(opened(product["folder"])) == 1
    with pytest.raises(DataError, match=r"noise table .* is missing .*denoise=false"):
        opened(product["folder"], denoise=True)


def test_complex_products_are_calibrated(tmp_path: Path, write_tif) -> None:
    z = np.round(100 * np.random.default_rng(1).normal(size=(HEIGHT, WIDTH, 2))).view(complex)
    stem = NAME.format("vv", 4).replace("grd", "slc")
    write_tif(z, f"{PRODUCT}/measurement/{stem}.tiff", dtype="complex_int16", crs=None)
    folder = tmp_path / PRODUCT / "annotation" / "calibration"
    folder.mkdir(parents=True)
    table = vectors("calibrationVector", np.full((3, 3), 200.0), "sigmaNought")
    (folder / f"calibration-{stem}.xml").write_text(f"<calibration>{table}</calibration>")
    assert np.allclose(opened(tmp_path / PRODUCT).read(0), np.abs(z) / 200, rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "is missing"),
        ("<calibration>", "cannot be read"),
        ("<calibration/>", "no calibrationVector"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "defines entities"),
        (vectors("calibrationVector", np.zeros((3, 3)), "sigmaNought"), "not positive"),
        (vectors("calibrationVector", np.ones((3, 2)), "sigmaNought"), "2 values for 3 pixels"),
        (vectors("calibrationVector", np.ones((3, 3)), "betaNought"), "no sigmaNought"),
    ],
)
def test_a_faulty_table_is_named(product: dict[str, Any], content: str | None, reason: str) -> None:
    for path in (product["folder"] / "annotation" / "calibration").glob("calibration-*"):
        path.unlink()
        if content is not None:
            path.write_text(content)
    with pytest.raises(DataError, match=reason):
        opened(product["folder"])


def test_measurements_without_tables_are_said_to_be_uncalibrated(tmp_path: Path, write_tif) -> None:
    pixels = np.full((20, 20, 1), 300, "uint16")
    data = opened(write_tif(pixels, name=f"{NAME.format('vv', 1)}.tiff"))
    assert "not calibrated" in " ".join(data.index.remarks)
