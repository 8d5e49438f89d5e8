from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ssl_kit.testing import check_corruptions, corrupted
from ssl_kit_histopathology.corruptions import CORRUPTIONS
from ssl_kit_histopathology.stains import HED

RGB, GREY = ("red", "green", "blue"), ("grey",)
MANY = ("dapi", "cd3", "cd8", "cd20", "ki67")
KINDS = (RGB, GREY, MANY)
WITHOUT = {GREY: {"stain", "JPEG"}, MANY: {"stain", "JPEG"}}


def worse(
    name: str, strength: float, image: np.ndarray, channels: tuple[str, ...], seed: int = 0
) -> np.ndarray:
    return corrupted(CORRUPTIONS[name], strength, image, channels, seed)


def textured(channels: tuple[str, ...], dtype: type, size: int = 48) -> np.ndarray:
    rng = np.random.default_rng(1)
    planes = [cv2.resize(rng.random((12, 12), np.float32), (size, size)) for _ in channels]
    unit = 0.25 + 0.5 * np.stack(planes, axis=2)
    return np.rint(unit * 255).astype(np.uint8) if dtype == np.uint8 else unit


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", KINDS)
def test_goes_from_mild_to_severe_and_a_seed_repeats_it(
    channels: tuple[str, ...], dtype: type
) -> None:
    check_corruptions(CORRUPTIONS, channels, textured(channels, dtype))


@pytest.mark.parametrize("channels", KINDS)
def test_where_it_does_not_apply_there_is_none(channels: tuple[str, ...]) -> None:
    none = {n for n, c in CORRUPTIONS.items() if c.transform(c.strengths[0], channels) is None}
    assert none == WITHOUT.get(channels, set())


def coarse(image: np.ndarray, times: int) -> np.ndarray:
    """Means of squares, then lines between their centres, along one side after the other."""
    cells = len(image) // times
    made = image.astype(np.float64).reshape(cells, times, cells, times, -1).mean(axis=(1, 3))
    where = (np.arange(len(image)) + 0.5) / times - 0.5
    for axis in (0, 1):
        made = np.apply_along_axis(lambda v: np.interp(where, range(cells), v), axis, made)
    return made


@pytest.mark.parametrize("channels", KINDS)
def test_optics_against_their_formulas(channels: tuple[str, ...]) -> None:
    image = textured(channels, np.float32)
    assert np.allclose(worse("lamp", 25, image, channels), 0.75 * image, atol=1e-6)
    blurred = gaussian_filter(image.astype(float), (2, 2, 0), mode="mirror", truncate=5)
    assert np.abs(worse("defocus", 2, image, channels) - blurred).max() < 0.01
    assert np.allclose(worse("resolution", 4, image, channels), coarse(image, 4), atol=1e-5)


def test_stain_multiplies_each_dye_by_up_to_its_share() -> None:
    amounts = np.random.default_rng(0).uniform(0.2, 0.6, (48, 48, 3))
    image = np.exp(-amounts @ HED).astype(np.float32)
    made = worse("stain", 0.2, image, RGB).astype(float)
    factors = -np.log(made) @ np.linalg.inv(HED) / amounts
    assert np.ptp(factors, axis=(0, 1)).max() < 1e-3
    assert 0 < np.abs(factors.mean(axis=(0, 1)) - 1).max() <= 0.2


def test_compression_is_that_of_the_quality() -> None:
    image = textured(RGB, np.uint8)
    _, code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 10])
    assert np.array_equal(worse("JPEG", 10, image, RGB), cv2.imdecode(code, 1)[..., ::-1])
