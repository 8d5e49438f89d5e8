from __future__ import annotations

import cv2
import numpy as np
import pytest

from ssl_kit.testing import check_corruptions, corrupted
from ssl_kit_eeg.corruptions import CORRUPTIONS

EEG, ONE, WEARABLE = ("Cz_uv", "Pz_uv", "Oz_uv", "Fz_uv"), ("Cz_uv",), ("eda_us", "hr_bpm")
PICTURE = ("grey",)
MADE = ("Cz_spectrogram", "Pz_spectrogram")
KINDS = (EEG, ONE, WEARABLE, MADE, PICTURE)
WITHOUT = {
    ONE: {"electrodes"},
    WEARABLE: {"line noise"},
    MADE: {"line noise"},
    PICTURE: {"line noise", "drift", "electrodes"},
}


def worse(
    name: str, strength: float, image: np.ndarray, channels: tuple[str, ...], seed: int = 0
) -> np.ndarray:
    return corrupted(CORRUPTIONS[name], strength, image, channels, seed)


def textured(channels: tuple[str, ...], dtype: type) -> np.ndarray:
    """Windows of signals about 0.5, or a picture."""
    rng, shape = np.random.default_rng(1), (48, 48) if channels == PICTURE else (1, 256)
    small = (12, 12) if channels == PICTURE else (1, 64)
    planes = [cv2.resize(rng.random(small, np.float32), shape[::-1]) for _ in channels]
    unit = 0.5 + 0.2 * (np.stack([p.reshape(shape) for p in planes], axis=2) - 0.5)
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


def window() -> np.ndarray:
    """Two seconds of white noise, far from the ends of the range."""
    drawn = np.random.default_rng(0).standard_normal((1, 256, 4))
    return (0.5 + 0.01 * drawn).astype(np.float32)


def test_noise_has_the_ratio_asked_for() -> None:
    gap = worse("noise", 5, window(), EEG).astype(float) - window()
    ratio = 10 * np.log10(window().var(axis=1) / np.square(gap).mean(axis=1))
    assert np.allclose(ratio, 5, atol=1)


def test_noise_of_the_mains_is_a_sine_of_50_hz() -> None:
    gap = worse("line noise", 0, window(), EEG).astype(float) - window()
    for channel in range(4):
        spectrum = np.abs(np.fft.rfft(gap[0, :, channel])) ** 2
        assert np.fft.rfftfreq(256, 1 / 128)[spectrum.argmax()] == 50
        assert spectrum.max() > 0.999 * spectrum.sum()
    assert np.allclose(gap.std(axis=1) / window().std(axis=1), 1, atol=0.01)


def test_drift_is_so_many_times_the_signal_and_slow() -> None:
    gap = worse("drift", 4, window(), EEG).astype(float) - window()
    assert np.allclose(gap.std(axis=1) / window().std(axis=1), 4, rtol=1e-3)
    assert np.allclose(gap.mean(axis=1), 0, atol=1e-5)
    steps = np.diff(gap, axis=1)
    assert np.all((steps > -1e-6).all(axis=1) | (steps < 1e-6).all(axis=1))


@pytest.mark.parametrize("percent", [25, 50, 75])
def test_contact_and_electrodes_are_lost_by_the_share(percent: float) -> None:
    image, means = window(), window().mean(axis=1, keepdims=True)
    flat = np.isclose(worse("contact", percent, image, EEG), means, atol=1e-6).all(axis=2)
    assert 100 * flat.mean() == pytest.approx(percent, abs=1)
    silent = np.isclose(worse("electrodes", percent, image, EEG), means, atol=1e-6).all(axis=1)
    assert 100 * silent.mean() == percent
