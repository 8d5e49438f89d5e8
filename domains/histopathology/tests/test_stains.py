from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ssl_kit_histopathology.stains import (
    HED,
    UNMIX,
    jitter,
    macenko,
    macenko_stains,
    optical_density,
    reinhard,
)
from ssl_kit_histopathology.tissue_model import Stain, scan


def patch(seed: int = 0, tissue: str = "tumor") -> np.ndarray:
    return scan(tissue, Stain.draw(np.random.default_rng(seed)), np.random.default_rng((1, seed)))


def slow_jitter(image: np.ndarray, alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Pixel by pixel: unmix, change, mix, as scikit-image's rgb2hed and hed2rgb, without clips."""
    out = np.zeros(image.shape)
    stains_of = np.linalg.inv(HED)
    for r in range(image.shape[0]):
        for c in range(image.shape[1]):
            intensity = np.maximum(image[r, c].astype(np.float64), 1) / 255
            concentration = -np.log(intensity) @ stains_of
            changed = [a * x + b for a, x, b in zip(alpha, concentration, beta, strict=True)]
            density = sum(x * HED[k] for k, x in enumerate(changed))
            out[r, c] = 255 * np.exp(-density)
    return out.clip(0, 255)


ALPHA, BETA = np.array([1.15, 0.9, 1.05]), np.array([0.04, -0.03, 0.01])


def test_jitter_against_loops() -> None:
    image = np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8)
    expected = slow_jitter(image, ALPHA, BETA)
    assert np.abs(jitter(image, ALPHA, BETA) - expected).max() <= 0.51
    unit = jitter((image / 255).astype(np.float32), ALPHA, BETA)
    assert np.abs(255 * unit - expected).max() < 0.01


def test_jitter_of_nothing_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(1, 256, (64, 64, 3), np.uint8)
    assert np.array_equal(jitter(image, np.ones(3), np.zeros(3)), image)


def test_twice_the_hematoxylin_is_twice_its_density() -> None:
    for stain in range(3):
        density = 0.3 * HED[stain]
        image = np.exp(-density).astype(np.float32).reshape(1, 1, 3)
        alpha = np.where(np.arange(3) == stain, 2, 7)  # the others are not there
        made = jitter(image, alpha, np.zeros(3))
        assert np.allclose(optical_density(made)[0, 0], 2 * density, atol=1e-5)


def test_unmixing_is_the_inverse_of_mixing() -> None:
    assert np.allclose(HED @ UNMIX, np.eye(3))


def slow_macenko(image: np.ndarray) -> np.ndarray:
    """The published code in the order of its steps, with least squares for every pixel."""
    reference = np.array([[0.5626, 0.2159], [0.7201, 0.8012], [0.4062, 0.5581]])
    flat = np.maximum(image.reshape(-1, 3).astype(np.float64), 1)
    od = -np.log(flat / 240)
    clear = od[~(od < 0.15).any(axis=1)]
    _, vectors = np.linalg.eigh(np.cov(clear, rowvar=False))
    vectors = vectors[:, [2, 1]]
    for k in (0, 1):
        if vectors[:, k].sum() < 0:
            vectors[:, k] *= -1
    projected = clear @ vectors
    phi = np.arctan2(projected[:, 1], projected[:, 0])
    low, high = (
        vectors @ np.array([np.cos(angle), np.sin(angle)]) for angle in np.percentile(phi, [1, 99])
    )
    he = np.array([low, high]).T if low[0] > high[0] else np.array([high, low]).T
    concentration = np.linalg.lstsq(he, od.T, rcond=None)[0]
    top = np.percentile(concentration, 99, axis=1)
    concentration *= np.array([1.9705, 1.0308])[:, None] / top[:, None]
    return (240 * np.exp(-reference @ concentration)).clip(0, 255).T.reshape(image.shape)


@pytest.mark.parametrize("seed", range(3))
def test_macenko_against_the_published_steps(seed: int) -> None:
    image = patch(seed)  # 96 x 96 pixels: all are looked at
    assert np.abs(macenko(image) - slow_macenko(image)).max() <= 0.6


def test_macenko_finds_the_stains_of_a_slide() -> None:
    stain = Stain.draw(np.random.default_rng(3))
    amounts = np.random.default_rng(4).exponential(0.5, (5000, 2))
    found = macenko_stains(amounts @ stain.vectors)
    assert found is not None
    assert (found * stain.vectors).sum(axis=1).min() > 0.995


@pytest.mark.parametrize("method", [macenko, reinhard])
def test_slides_of_different_stain_become_alike(method: object) -> None:
    images = [scan("tumor", Stain.draw(np.random.default_rng(s)), np.random.default_rng(0))
              for s in range(6)]  # fmt: skip
    before, after = (np.array([i.mean((0, 1)) for i in set_]).std(axis=0).mean()
                     for set_ in (images, [method(i) for i in images]))  # fmt: skip
    assert after < before / 2


def slow_reinhard(image: np.ndarray) -> np.ndarray:
    """Ruderman's space as HistomicsTK has it, pixel by pixel."""
    lms_of = np.array(
        [[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]]
    )
    mean, std = [8.74108109, -0.12440419, 0.0444982], [0.6135447, 0.10989545, 0.0286032]
    flat = np.maximum(image.reshape(-1, 3).astype(np.float64), 1)
    lab = []
    for rgb in flat:
        log_l, log_m, log_s = np.log(lms_of @ rgb)
        lab.append([(log_l + log_m + log_s) / 3**0.5, (log_l + log_m - 2 * log_s) / 6**0.5,
                    (log_l - log_m) / 2**0.5])  # fmt: skip
    lab = np.array(lab)
    tissue = (-np.log(flat / 255)).mean(axis=1) > 0.15
    out = flat.copy()
    for i in np.flatnonzero(tissue):
        x = (lab[i] - lab[tissue].mean(axis=0)) / lab[tissue].std(axis=0) * std + mean
        a, b, c = x[0] / 3**0.5, x[1] / 6**0.5, x[2] / 2**0.5
        out[i] = np.linalg.inv(lms_of) @ np.exp([a + b + c, a + b - c, a - 2 * b])
    return out.clip(0, 255).reshape(image.shape)


def test_reinhard_against_loops() -> None:
    image = patch(tissue="gland")[::3, ::3]
    assert np.abs(reinhard(image) - slow_reinhard(image)).max() <= 0.6


@pytest.mark.parametrize("method", [macenko, reinhard])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_images_of_one_color_are_no_trouble(method: object, level: int) -> None:
    image = np.full((32, 32, 3), level, np.uint8)
    made = method(image)
    assert made.shape == image.shape
    if level == 255 or method is macenko:
        assert np.array_equal(made, image)


@pytest.mark.parametrize("method", [macenko, reinhard])
def test_both_types_get_the_same_treatment(method: object) -> None:
    image = patch()
    unit = method((image / 255).astype(np.float32))
    assert unit.dtype == np.float32
    assert 0 <= unit.min() <= unit.max() <= 1
    assert np.abs(255 * unit - method(image)).max() < 1


@pytest.mark.parametrize("method", [macenko, reinhard])
def test_real_tiles_keep_their_structure(real_data: Path, method: object) -> None:
    for path in sorted((real_data / "lc25000_lung").glob("*/*.jpeg"))[::300]:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        made = method(image)
        assert np.corrcoef(image.mean(2).ravel(), made.mean(2).ravel())[0, 1] > 0.8


@pytest.mark.parametrize("method", [macenko, reinhard])
def test_statistics_may_come_from_more_of_the_slide(method: object) -> None:
    whole = patch()
    part = np.ascontiguousarray(whole[:32, :32])
    assert np.array_equal(method(part, whole), method(whole)[:32, :32])
