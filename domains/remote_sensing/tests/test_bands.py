from __future__ import annotations

import pytest
import torch

from ssl_kit import UsageError
from ssl_kit.nn.channel_names import adapt_channels
from ssl_kit_remote_sensing.bands import (
    SENSORS,
    SPELLINGS,
    VOCABULARY,
    canonical,
    name_bands,
    role,
    wavelengths,
)


@pytest.mark.parametrize("sensor", SENSORS)
def test_presets_use_the_vocabulary_once_each(sensor: str) -> None:
    names = list(SENSORS[sensor].values())
    assert set(names) <= set(VOCABULARY)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("sensor", "count", "first", "last"),
    [
        ("sentinel2", 13, "coastal", "swir_2"),
        ("sentinel2", 12, "coastal", "swir_2"),
        ("sentinel2", 10, "blue", "swir_2"),
        ("sentinel2", 4, "blue", "nir"),
        ("landsat45", 7, "blue", "swir_2"),
        ("landsat45", 6, "blue", "swir_2"),
        ("landsat7", 8, "blue", "pan"),
        ("landsat89", 11, "coastal", "thermal_2"),
        ("landsat89", 7, "coastal", "swir_2"),
        ("landsat89", 6, "blue", "swir_2"),
        ("naip", 4, "red", "nir"),
        ("naip", 3, "red", "blue"),
    ],
)
def test_a_sensor_names_the_bands_of_its_usual_stacks(
    sensor: str, count: int, first: str, last: str
) -> None:
    names = name_bands([""] * count, sensor, asked=True)
    assert (len(names), names[0], names[-1]) == (count, first, last)


def test_a_number_of_bands_that_the_sensor_does_not_have_says_so() -> None:
    with pytest.raises(UsageError, match="13, 12, 10, 4"):
        name_bands([""] * 5, "sentinel2", asked=True)


def test_colors_in_another_order_are_not_overruled() -> None:
    with pytest.raises(UsageError, match="channels"):
        name_bands(["red", "green", "blue", ""], "sentinel2", asked=True)
    assert name_bands(["red", "green", "blue", ""], "naip", asked=True)[3] == "nir"


def test_thirteen_bands_without_names_are_not_taken_for_sentinel_2() -> None:
    assert name_bands([""] * 13, "", asked=False)[8] == "band9"  # EuroSAT has B8A last


@pytest.mark.parametrize(
    ("name", "sensor", "expected"),
    [
        ("B8A", "sentinel2", "nir_narrow"),
        ("B08", "sentinel2", "nir"),
        ("SR_B5", "landsat89", "nir"),
        ("ST_B10", "landsat89", "thermal"),
        ("B6_VCID_2", "landsat7", "thermal_2"),
        ("swir16", "", "swir_1"),
        ("Near Infrared", "", "nir"),
        ("B4", "", ""),
        ("B14", "sentinel2", ""),
    ],
)
def test_role(name: str, sensor: str, expected: str) -> None:
    assert role(name, sensor) == expected


def test_what_is_not_known_keeps_its_name() -> None:
    assert name_bands(["Red ", "Height"], "", asked=False) == ("red", "height")
    assert name_bands(["NIR", "nir08x"], "", asked=False) == ("nir", "nir08x")


def test_two_of_one_role_are_told_apart() -> None:
    assert name_bands(["swir1", "SWIR16"], "", asked=False) == ("swir1", "swir16")


def test_indices_have_no_haze() -> None:
    assert wavelengths(("red", "ndvi")) == (665.0, float("inf"))


def test_canonical_knows_no_others() -> None:
    assert canonical("velvet") == ""


def test_a_first_layer_moves_from_landsat_to_sentinel_2_by_name() -> None:
    landsat = list(SENSORS["landsat89"].values())[:7]
    sentinel = list(SENSORS["sentinel2"].values())
    weight = torch.arange(7.0).reshape(1, 7, 1, 1)
    moved = adapt_channels(weight, landsat, sentinel) * 13 / 7
    for name in set(landsat):
        assert moved[0, sentinel.index(name)].item() == pytest.approx(landsat.index(name))


@pytest.mark.parametrize(
    ("name", "standard"),
    [("swir2", "swir_2"), ("b12", "swir_2"), ("b8a", "nir_narrow"), ("rededge1", "red_edge_1")],
)
def test_spellings_of_users_are_known(name: str, standard: str) -> None:
    assert SPELLINGS[name] == standard
    assert "b11" not in SPELLINGS  # SWIR of Sentinel-2, thermal of Landsat
