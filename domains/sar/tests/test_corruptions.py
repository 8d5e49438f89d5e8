from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from ssl_kit.data.augment import downscale
from ssl_kit.testing.domains import check_corruptions, corrupted, textured
from ssl_kit_sar.corruptions import CORRUPTIONS
from ssl_kit_sar.pixels import Meaning, phasors, put_phasors
from ssl_kit_sar.signals import compand, expand

GRAY, DB, COMPLEX = ("gray",), ("vv_db", "vh_db"), ("vv_real", "vv_imag")
COPIES = ("red", "green", "blue")
SUBLOOKS = ("vv_look1_db", "vh_look1_db", "vv_look2_db", "vh_look2_db")
KINDS = (GRAY, DB, COPIES, SUBLOOKS, COMPLEX)
WITHOUT = {COMPLEX: {"speckle"}}


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


def intensity(image: np.ndarray, channels: tuple[str, ...]) -> np.ndarray:
    """Of amplitudes or of decibels over a range of 60 dB."""
    unit = image.astype(np.float64)
    return 10 ** (6 * (unit - 1)) if channels[0].endswith("_db") else unit**2


@pytest.mark.parametrize(("channels", "level"), [(GRAY, 0.15), (DB, 0.6), (SUBLOOKS, 0.6)])
def test_speckle_has_its_looks_and_noise_its_ratio(channels: tuple[str, ...], level: float) -> None:
    image = flat(level, channels)
    power = intensity(image, channels)[0, 0, 0]
    made = intensity(worse("speckle", 4, image, channels), channels)
    assert np.allclose(made.mean((0, 1)) ** 2 / made.var((0, 1)), 4, rtol=0.08)
    alike = np.corrcoef(made.reshape(-1, len(channels)), rowvar=False)
    assert np.allclose(alike, np.eye(len(channels)), atol=0.05)
    noise = intensity(worse("noise", 5, image, channels), channels).mean((0, 1)) - power
    assert np.allclose(10 * np.log10(power / noise), 5, atol=0.2)


@pytest.mark.parametrize("channels", [GRAY, DB, SUBLOOKS])
def test_of_detected_images_intensities_are_averaged(channels: tuple[str, ...]) -> None:
    image = textured(channels)
    power = intensity(image, channels)
    made = intensity(worse("resolution", 4, image, channels), channels)
    assert np.allclose(made, downscale(power.astype(np.float32), 4), rtol=1e-3)
    made = intensity(worse("defocus", 9, image, channels), channels)
    assert np.allclose(made, uniform_filter1d(power, 9, axis=1, mode="mirror"), rtol=1e-3)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_copies_of_a_band_stay_copies(name: str) -> None:
    image = np.repeat(textured(GRAY, "uint8"), 3, axis=2)
    made = worse(name, CORRUPTIONS[name].strengths[-1], image, COPIES)
    assert np.array_equal(made[..., :-1], made[..., 1:])


def waves(name: str, strength: float, signal: np.ndarray) -> np.ndarray:
    """What becomes of a complex signal (H, W)."""
    kinds = Meaning.of(COMPLEX)
    image = np.empty((*signal.shape, 2), np.float32)
    put_phasors(image, compand(signal[..., None].astype(np.complex64)), kinds)
    return expand(phasors(worse(name, strength, image, COMPLEX), kinds))[..., 0]


def drawn() -> np.ndarray:
    real, imag = np.random.default_rng(0).standard_normal((2, 64, 64))
    return 0.05 * (real + 1j * imag)


def test_complex_noise_has_its_ratio() -> None:
    signal = drawn()
    power = np.mean(np.abs(signal) ** 2)
    noise = np.mean(np.abs(waves("noise", 5, signal) - signal) ** 2)
    assert 10 * np.log10(power / noise) == pytest.approx(5, abs=0.3)


def test_coarser_complex_images_have_a_narrower_band() -> None:
    oversampled = np.fft.fft2(drawn())
    free = np.abs(np.fft.fftfreq(64)) > 0.4
    oversampled[free], oversampled[:, free] = 0, 0
    spectrum = np.abs(np.fft.fft2(waves("resolution", 2, np.fft.ifft2(oversampled)))) ** 2
    outside = np.abs(np.fft.fftfreq(64)) > 0.3
    assert spectrum[outside].sum() + spectrum[:, outside].sum() < 1e-3 * spectrum.sum()


def test_defocus_turns_the_phases_of_azimuth_and_smears_a_point() -> None:
    signal = drawn()
    before, after = (np.fft.fft(part, axis=1) for part in (signal, waves("defocus", 9, signal)))
    expected = before * np.exp(1j * np.pi * 9 * np.fft.fftfreq(64) ** 2)
    assert np.abs(after - expected).max() < 0.01 * np.abs(before).max()
    point = np.zeros((64, 64), complex)
    point[32, 32] = 0.9
    power = np.abs(waves("defocus", 9, point)) ** 2
    assert power[32].sum() > 0.99 * power.sum()
    assert power[32, 28:37].sum() > 0.8 * power.sum()
    assert power[32, 32] < 0.3 * power.sum()
