from __future__ import annotations

import pytest

from ssl_kit_remote_sensing.products import calibration, is_ancillary, parse, sensor_of

SAFE = "S2A_MSIL2A_20220401T100031_N0400_R122_T32TQM_20220401T123456.SAFE"
IMAGES = f"{SAFE}/GRANULE/L2A_T32TQM_A03/IMG_DATA"


@pytest.mark.parametrize(
    ("path", "scene", "band"),
    [
        ("LC08_L2SP_1_2_T1_SR_B4.TIF", "LC08_L2SP_1_2_T1", "SR_B4"),
        ("x/LC08_L1TP_1_2_T1_QA_PIXEL.TIF", "x/LC08_L1TP_1_2_T1", "QA_PIXEL"),
        ("LE07_L1TP_B6_VCID_1.TIF", "LE07_L1TP", "B6_VCID_1"),
        (f"{IMAGES}/R10m/T32TQM_2022_B02_10m.jp2", f"{IMAGES}/T32TQM_2022", "B02"),
        (f"{IMAGES}/R20m/T32TQM_2022_SCL_20m.jp2", f"{IMAGES}/T32TQM_2022", "SCL"),
        ("forest/place1/red_edge_1.tif", "forest/place1", "red_edge_1"),
        ("place1/nir_narrow.tif", "place1", "nir_narrow"),
        ("blue.tif", "", "blue"),
        ("scene.tif", "scene", ""),
        ("hundred.tif", "hundred", ""),
    ],
)
def test_parse(path: str, scene: str, band: str) -> None:
    found = parse(path)
    assert (found.scene, found.band) == (scene, band)


def test_parse_knows_a_further_name() -> None:
    assert parse("a_fog.tif", "fog").band == "fog"


@pytest.mark.parametrize(
    ("path", "sensor"),
    [
        (f"/data/{IMAGES}/R10m/T32TQM_B02_10m.jp2", "sentinel2"),
        ("/data/T32TQM_20170410T100031_B02.jp2", "sentinel2"),
        ("LE07_L2SP_225078_20110306_02_T1_B1.tif", "landsat7"),
        ("LT05_L1TP_B1.TIF", "landsat45"),
        ("LC09_L2SP_SR_B1.TIF", "landsat89"),
        ("scene.tif", ""),
    ],
)
def test_sensor_of(path: str, sensor: str) -> None:
    assert sensor_of(path) == sensor


@pytest.mark.parametrize(
    ("path", "band", "dtype", "expected"),
    [
        ("LC08_L2SP_SR_B4.TIF", "SR_B4", "uint16", (0.0000275, -0.2)),
        ("LC08_L2SP_ST_B10.TIF", "ST_B10", "uint16", (0.00341802, 149.0)),
        ("LC08_L1TP_B4.TIF", "B4", "uint16", (0.00002, -0.1)),
        ("LC08_L1TP_B10.TIF", "B10", "uint16", None),
        ("LE07_L2SP_1_B1.tif", "B1", "float64", None),
        (IMAGES, "B02", "uint16", (0.0001, -0.1)),
        (IMAGES.replace("N0400", "N0301"), "B02", "uint16", (0.0001, 0.0)),
        ("T32TQM_20220401T100031_B02.jp2", "B02", "uint16", None),
    ],
)
def test_calibration(
    path: str, band: str, dtype: str, expected: tuple[float, float] | None
) -> None:
    assert calibration(path, band, dtype) == expected


@pytest.mark.parametrize(
    "name",
    ["T32_TCI_10m.jp2", "T32_AOT_10m.jp2", "MSK_CLDPRB_20m.jp2", "MSK_DETFOO_B02.jp2",
     "LC08_T1_QA_RADSAT.TIF", "LC08_T1_ST_EMIS.TIF", "LC08_T1_VAA.TIF"],
)  # fmt: skip
def test_what_lies_beside_bands(name: str) -> None:
    assert is_ancillary(f"folder/{name}")


@pytest.mark.parametrize("name", ["LC08_T1_ST_B10.TIF", "LC08_T1_SR_B4.TIF", "T32_B02_10m.jp2"])
def test_bands_are_not_beside_bands(name: str) -> None:
    assert not is_ancillary(name)
