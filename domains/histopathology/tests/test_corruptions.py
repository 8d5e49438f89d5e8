from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ssl_kit.testing.domains import check_corruptions, corrupted, textured
from ssl_kit_histopathology.corruptions import CORRUPTIONS
from ssl_kit_histopathology.stains import HED

RGB, GRAY = ("red", "green", "blue"), ("gray",)
MANY = ("dapi", "cd3", "cd8", "cd20", "ki67")
KINDS = (RGB, GRAY, MANY)
WITHOUT = {GRAY: {"stain", "JPEG"}, MANY: {"stain", "JPEG"}}


worse = partial(corrupted, CORRUPTIONS)


@pytest.mark.parametrize("channels", KINDS)
def test_they_keep_to_the_rule(channels: tuple[str, ...]) -> None:
    check_corruptions(CORRUPTIONS, channels)


@pytest.mark.parametrize("channels", KINDS)
def test_where_it_does_not_apply_there_is_none(channels: tuple[str, ...]) -> None:
    none = {n for n, c in CORRUPTIONS.items() if c.transform(c.strengths[0], channels) is None}
    assert none == WITHOUT.get(channels, set())


@pytest.mark.parametrize("channels", KINDS)
def test_optics_against_their_formulas(channels: tuple[str, ...]) -> None:
    image = textured(channels)
    assert np.allclose(worse("lamp", 25, image, channels), 0.75 * image, atol=1e-6)
    blurred = gaussian_filter(image.astype(float), (2, 2, 0), mode="mirror", truncate=5)
    assert np.abs(worse("defocus", 2, image, channels) - blurred).max() < 0.01


def test_stain_multiplies_each_dye_by_up_to_its_share() -> None:
    amounts = np.random.default_rng(0).uniform(0.2, 0.6, (48, 48, 3))
    image = np.exp(-amounts @ HED).astype(np.float32)
    made = worse("stain", 0.2, image, RGB).astype(float)
    factors = -np.log(made) @ np.linalg.inv(HED) / amounts
    assert np.ptp(factors, axis=(0, 1)).max() < 1e-3
    assert 0 < np.abs(factors.mean(axis=(0, 1)) - 1).max() <= 0.2
