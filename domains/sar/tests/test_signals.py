from __future__ import annotations

import numpy as np
import pytest

from ssl_kit_sar.signals import (
    RANGE_DB,
    centroid,
    compand,
    decibels,
    expand,
    intensity,
    multilook,
    sublooks,
)
from ssl_kit_sar.targets import clutter


def speckle(height: int, width: int, bands: int = 1, seed: int = 0) -> np.ndarray:
    return clutter(np.random.default_rng(seed), height, width, bands)


def test_intensity_and_decibels_of_known_values() -> None:
    signal = np.array([3 + 4j, 0, 10], np.complex64)
    assert intensity(signal).tolist() == [25, 0, 100]
    assert decibels(intensity(signal)).tolist() == pytest.approx([13.9794, -np.inf, 20])


def test_multilook_is_the_mean_of_cells() -> None:
    power = np.random.default_rng(0).random((7, 9, 2)).astype(np.float32)
    out = multilook(power, (4, 3))  # azimuth runs along the columns
    assert out.shape == (2, 2, 2)
    for r in range(2):
        for c in range(2):
            cell = power[3 * r : 3 * r + 3, 4 * c : 4 * c + 4]
            assert np.allclose(out[r, c], cell.mean((0, 1)))


def test_multilook_lowers_speckle_as_theory_says() -> None:
    looked = multilook(intensity(speckle(400, 400)), (2, 2))
    assert looked.mean() == pytest.approx(1, abs=0.02)
    assert looked.std() == pytest.approx(1 / np.sqrt(4), abs=0.02)


def test_sublooks_are_independent_and_share_the_energy() -> None:
    signal = speckle(128, 128)
    looks = sublooks(signal)
    assert looks.sum() == pytest.approx(intensity(signal).sum(), rel=1e-4)  # Parseval
    first, second = (looks[..., k].ravel() for k in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03


def test_sublooks_of_a_scatterer_that_moves_differ_in_neither() -> None:
    point = np.zeros((8, 32, 1), np.complex64)
    point[4, 16] = 1
    looks = sublooks(point)
    assert np.allclose(looks[..., 0], looks[..., 1], atol=1e-6)
    assert np.unravel_index(looks[..., 0].argmax(), (8, 32)) == (4, 16)


def test_sublooks_of_all_polarizations_come_look_by_look() -> None:
    looks = sublooks(speckle(8, 16, bands=2) * np.array([1, 100], np.complex64))
    assert (looks.mean((0, 1)) > 100).tolist() == [False, True, False, True]


@pytest.mark.parametrize("shift", [0, 5, -9])
def test_centroid_finds_the_middle_of_a_shifted_band(shift: int) -> None:
    spectrum = np.zeros((4, 64, 1), np.complex64)
    spectrum[:, np.arange(shift - 10, shift + 11) % 64] = 1
    assert centroid(spectrum, 1) == shift


def test_compand_of_known_values() -> None:
    u = compand(np.array([1j, -0.1, 1e-3, 1e-9, 0, 5], np.complex64))
    expected = [1j, -(1 - 20 / RANGE_DB), 0, 0, 0, 1]
    assert np.allclose(u, expected, atol=1e-6)


def test_expand_reverses_compand() -> None:
    signal = 0.05 * speckle(16, 16)
    kept = np.abs(signal) > 1.1e-3
    assert np.allclose(expand(compand(signal))[kept], signal[kept], rtol=1e-4)
