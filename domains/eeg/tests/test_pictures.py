from __future__ import annotations

import numpy as np
import pytest

from ssl_kit import UsageError
from ssl_kit_eeg import pictures
from ssl_kit_eeg.brain import ELECTRODES
from ssl_kit_eeg.electrodes import flat
from ssl_kit_eeg.pictures import (
    band_powers,
    decibels,
    map_weights,
    mel,
    mel_bands,
    scalogram,
    spectrogram,
    topography,
)

RATE, SECONDS = 128.0, 5.0
TIME = np.arange(int(RATE * SECONDS)) / RATE


def sine(hertz: float, microvolts: float = 50) -> np.ndarray:
    return (microvolts * np.sin(2 * np.pi * hertz * TIME))[None].astype(np.float32)


def row_of(picture: np.ndarray) -> int:
    """Row of the strongest frequency, counted from below."""
    return len(picture) - 1 - int(picture.mean(axis=(1, 2)).argmax())


@pytest.mark.parametrize("hertz", [3, 10, 25, 40])
def test_a_rhythm_lies_in_the_row_of_its_frequency(hertz: int) -> None:
    assert row_of(spectrogram(sine(hertz), RATE)) == hertz - 1  # rows are 1, 2, ... Hz
    edges = np.expm1(np.linspace(np.log1p(1 / 7), np.log1p(45 / 7), 34)) * 7
    assert abs(edges[1:-1][row_of(mel(sine(hertz), RATE))] - hertz) < 2
    scales = np.geomspace(1, 45, 40)
    assert scales[row_of(scalogram(sine(hertz), RATE))] == pytest.approx(hertz, rel=0.1)


def test_a_burst_lies_in_the_columns_of_its_time() -> None:
    x = sine(10) * (TIME > 4)
    for picture in (spectrogram, mel, scalogram):
        image = picture(x, RATE)
        assert image.mean(axis=(0, 2)).argmax() > 0.75 * image.shape[1]


def test_spectrogram_agrees_with_a_sum_over_samples() -> None:
    x = np.random.default_rng(0).normal(0, 20, (1, 640))
    image = spectrogram(x.astype(np.float32), RATE)
    n = np.arange(128)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / 128)
    part = x[0, 16 : 16 + 128]
    part = (part - part.mean()) * window
    hertz = 10
    line = sum(part[k] * np.exp(-2j * np.pi * hertz * k / RATE) for k in range(128))
    power = 2 * abs(line) ** 2 / (RATE * (window**2).sum())
    assert image[-hertz, 2, 0] == pytest.approx(10 * np.log10(power + 1e-3), abs=1e-3)


def test_bands_of_the_mel_scale_add_up_and_grow() -> None:
    frequencies = np.arange(0, 64, 0.25)
    bands = mel_bands(frequencies, 45)
    np.testing.assert_allclose(bands.sum(axis=1), 1)
    assert not bands[:, frequencies > 45].any()
    widths = (bands > 0).sum(axis=1)
    assert widths[-1] > 3 * widths[0]


def test_power_of_a_band_is_that_of_its_rhythm() -> None:
    powers = band_powers(np.concatenate([sine(2), sine(10), sine(20)]), RATE)
    assert powers.argmax(axis=1).tolist() == [0, 2, 3]
    assert decibels(np.array([0.0])).item() == pytest.approx(-30)


def test_a_map_passes_through_the_electrodes() -> None:
    _, places = flat(ELECTRODES, {})
    weights = map_weights(places)
    edge = 1.1 * np.linalg.norm(places, axis=1).max()
    column = ((places[:, 0] + edge) / (2 * edge) * 64).astype(int)
    row = ((edge - places[:, 1]) / (2 * edge) * 64).astype(int)
    values = np.arange(8.0)
    np.testing.assert_allclose((weights @ values)[row * 64 + column], values, atol=0.5)
    np.testing.assert_allclose(np.nansum(weights, axis=1)[~np.isnan(weights[:, 0])], 1, atol=1e-4)


def test_the_nose_is_on_top_and_the_left_is_left() -> None:
    _, places = flat(ELECTRODES, {})
    x = np.concatenate([sine(10, 50 if name == "O1" else 1) for name in ELECTRODES])
    alpha = np.nan_to_num(topography(x, RATE, map_weights(places))[..., 2], nan=-99)
    row, column = np.unravel_index(alpha.argmax(), alpha.shape)
    assert row > 40
    assert column < 32


def test_places_of_the_file_come_before_those_of_the_system() -> None:
    chosen, places = flat(
        ["Cz", "x", "y"], {"x": np.array([0, 0.1, 0]), "Cz": np.array([0.1, 0, 0])}
    )
    assert chosen == [0, 1]
    np.testing.assert_allclose(places, [[1, 0], [0, 1]], atol=1e-9)


def test_a_map_of_unknown_electrodes_is_refused(write_fif) -> None:
    from ssl_kit_eeg.recordings import RecordingConfig, Recordings

    path = write_fif(np.random.default_rng(0).normal(0, 20, (3, 1280)))
    with pytest.raises(UsageError, match="has 3 of 3"):
        Recordings.open(path, RecordingConfig(image="topography"))


@pytest.mark.parametrize("seconds", [0.5, 2, 30])
@pytest.mark.parametrize("rate", [64.0, 250.0])
def test_any_length_and_rate_gives_a_picture(seconds: float, rate: float) -> None:
    x = np.random.default_rng(0).normal(0, 20, (2, round(seconds * rate))).astype(np.float32)
    for make in (pictures.spectrogram, pictures.mel, pictures.scalogram):
        image = make(x, rate)
        assert image.dtype == np.float32
        assert image.shape[2] == 2
        assert np.isfinite(image).all()
    assert np.isfinite(band_powers(x, rate)).all()
