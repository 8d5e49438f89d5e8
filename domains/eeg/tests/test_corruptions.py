from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from ssl_kit.testing.domains import check_corruptions, corrupted
from ssl_kit_eeg.corruptions import CORRUPTIONS

EEG, ONE, WEARABLE = ("Cz_uv", "Pz_uv", "Oz_uv", "Fz_uv"), ("Cz_uv",), ("eda_us", "hr_bpm")
PICTURE = ("gray",)
MADE = ("Cz_spectrogram", "Pz_spectrogram")
KINDS = (EEG, ONE, WEARABLE, MADE, PICTURE)
WITHOUT = {
    ONE: {"electrodes"},
    WEARABLE: {"line noise"},
    MADE: {"line noise"},
    PICTURE: {"line noise", "drift", "electrodes"},
}


worse = partial(corrupted, CORRUPTIONS)


@pytest.mark.parametrize("channels", KINDS)
def test_they_keep_to_the_rule(channels: tuple[str, ...]) -> None:
    check_corruptions(CORRUPTIONS, channels, (48, 48) if channels == PICTURE else (1, 256))


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
