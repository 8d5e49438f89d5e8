from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from ssl_kit.testing.domains import check_corruptions, corrupted, textured
from ssl_kit_medical.corruptions import CORRUPTIONS

RGB, GRAY = ("red", "green", "blue"), ("gray",)
MODALITIES = ("t1", "t1ce", "t2", "flair", "adc")
KINDS = (RGB, GRAY, MODALITIES)
WITHOUT: dict[tuple[str, ...], set[str]] = {}


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


def test_magnitude_noise_has_the_moments_of_rices_distribution() -> None:
    dark = worse("Rician noise", 10, flat(0, GRAY), GRAY).astype(float)
    assert dark.mean() == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.02)
    square = worse("Rician noise", 10, flat(0.4, GRAY), GRAY).astype(float) ** 2
    assert square.mean() == pytest.approx(0.4**2 + 2 * 0.1**2, rel=0.02)


def test_the_variance_of_photons_is_their_number() -> None:
    counted = 300 * worse("photon noise", 300, flat(0.4, GRAY), GRAY).astype(float)
    assert counted.mean() == pytest.approx(120, rel=0.01)
    assert counted.var() == pytest.approx(120, rel=0.05)


def test_shading_reaches_its_factor() -> None:
    factor = worse("shading", 2, flat(0.25, GRAY), GRAY).astype(float) / 0.25
    assert np.exp(np.abs(np.log(factor)).max()) == pytest.approx(2, rel=1e-3)
    assert np.log(factor).mean() == pytest.approx(0, abs=1e-3)


def test_a_window_is_shifted_by_a_share_of_its_width() -> None:
    image = textured(RGB)
    made = worse("window", 30, image, RGB)
    assert any(np.allclose(made, (image + by).clip(0, 1), atol=1e-6) for by in (-0.3, 0.3))


def test_motion_smears_a_point_along_a_line() -> None:
    image = flat(0, GRAY)
    image[64, 64] = 1
    made = worse("motion", 9, image, GRAY)
    rows, columns = np.nonzero(made[..., 0])
    assert made.sum() == pytest.approx(1, abs=1e-5)
    assert 6 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 9


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_gray_image_in_a_file_for_colors_stays_gray(name: str) -> None:
    image = np.repeat(textured(GRAY, "uint8"), 3, axis=2)
    made = worse(name, CORRUPTIONS[name].strengths[-1], image, RGB)
    assert np.array_equal(made[..., :-1], made[..., 1:])
