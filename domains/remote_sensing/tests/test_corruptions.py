from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from ssl_kit.testing.domains import check_corruptions, corrupted, textured
from ssl_kit_remote_sensing.corruptions import CORRUPTIONS

RGB, ONE = ("red", "green", "blue"), ("pan",)
BANDS = ("blue", "green", "red", "nir", "thermal", "ndvi")
HEAT = ("thermal", "ndvi", "ndwi")
INDEX = ("red", "green", "ndvi")
UNKNOWN = ("a", "b")
KINDS = (RGB, ONE, BANDS, HEAT, INDEX, UNKNOWN)
WITHOUT = {
    ONE: {"misregistration"},
    BANDS: {"JPEG"},
    HEAT: {"JPEG", "haze"},
    INDEX: {"JPEG"},
    UNKNOWN: {"JPEG"},
}


worse = partial(corrupted, CORRUPTIONS)


@pytest.mark.parametrize("channels", KINDS)
def test_they_keep_to_the_rule(channels: tuple[str, ...]) -> None:
    check_corruptions(CORRUPTIONS, channels)


@pytest.mark.parametrize("channels", KINDS)
def test_where_it_does_not_apply_there_is_none(channels: tuple[str, ...]) -> None:
    none = {n for n, c in CORRUPTIONS.items() if c.transform(c.strengths[0], channels) is None}
    assert none == WITHOUT.get(channels, set())


def flat(level: float, channels: tuple[str, ...]) -> np.ndarray:
    return np.full((128, 128, len(channels)), level, np.float32)


def test_haze_is_koschmieders_law_with_angstroms_exponent() -> None:
    image = textured(BANDS)
    nm = np.array([490, 560, 665, 842])
    through = np.exp(-0.5 * (nm / 490) ** -1.3)
    made = worse("haze", 0.5, image, BANDS)
    assert np.allclose(made[..., :4], through * image[..., :4] + 1 - through, atol=1e-5)
    assert np.array_equal(made[..., 4:], image[..., 4:])


@pytest.mark.parametrize("percent", [10, 25, 50, 75])
def test_clouds_cover_their_share_and_are_white_cold_and_without_an_index(percent: float) -> None:
    made = worse("clouds", percent, flat(0, BANDS), BANDS)
    assert 100 * (made[..., 0] > 0.5).mean() == pytest.approx(percent, abs=0.1)
    heart = made[..., 0] == 1
    assert heart.any()
    assert (made[heart] == [1, 1, 1, 1, 0, 0.5]).all()


def test_noise_has_the_ratio_asked_for_and_passes_into_an_index() -> None:
    red, nir = 0.3, 0.5
    image = np.concatenate([flat(v, ("x",)) for v in (red, nir, 0.5 + 0.25 / 2)], axis=2)
    gap = worse("noise", 30, image, ("red", "nir", "ndvi")).astype(float) - image
    assert np.allclose(10 * np.log10(image[0, 0, :2] ** 2 / gap[..., :2].var((0, 1))), 30, atol=0.2)
    share = 10**-1.5 * np.random.default_rng(0).standard_normal((2, 100_000))
    a, b = nir * (1 + share[0]), red * (1 + share[1])
    assert gap[..., 2].std() == pytest.approx(((a - b) / (a + b)).std() / 2, rel=0.05)


def test_misregistration_moves_all_bands_but_one_by_so_many_pixels() -> None:
    image = flat(0, RGB)
    image[60:68, 60:68] = 0.5
    made = worse("misregistration", 2, image, RGB)
    assert np.array_equal(made[..., 0], image[..., 0])
    for band in (1, 2):
        moved = np.subtract(center_of_mass(made[..., band]), 63.5)
        assert np.hypot(*moved) == pytest.approx(2, abs=0.05)
