from __future__ import annotations

import numpy as np

from ssl_kit_audio.spectra import FLOOR, log_mel

RATE = 16000


def slow_log_mel(x: np.ndarray, bands: int) -> np.ndarray:
    """A frame, a band and a frequency at a time, with frames centered at multiples of 10 ms."""
    size, hop, length = 1024, 160, 400
    window = np.array([0.5 - 0.5 * np.cos(2 * np.pi * n / length) for n in range(length)])
    padded = np.concatenate([np.zeros(length), x, np.zeros(length)])
    mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731
    edges = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(mel(20.0), mel(RATE / 2), bands + 2)]
    columns = []
    for number in range(round(len(x) / hop)):
        begin = length + number * hop - length // 2
        power = np.abs(np.fft.rfft(window * padded[begin : begin + length], size)) ** 2
        power /= size * (window**2).sum() / 4
        column = []
        for band in range(bands):
            low, center, high = edges[band : band + 3]
            total = 0.0
            for k in range(size // 2 + 1):
                f = k * RATE / size
                total += power[k] * max(
                    0, min((f - low) / (center - low), (high - f) / (high - center))
                )
            column.append(10 * np.log10(max(total, 1e-8)))
        columns.append(column[::-1])
    return np.array(columns).T


def test_log_mel_agrees_with_a_slow_restatement() -> None:
    x = np.random.default_rng(0).normal(0, 0.1, 1600).astype(np.float32)
    assert np.abs(log_mel(x, RATE, 24) - slow_log_mel(x, 24)).max() < 1e-3


def test_a_sine_of_full_scale_has_0_decibels_at_its_frequency() -> None:
    x = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    column = log_mel(x, RATE, 64)[:, 50]
    assert abs(10 * np.log10((10 ** (column / 10)).sum())) < 0.1
    edges = 700 * (10 ** (np.linspace(31.75, 2840, 66) / 2595) - 1)
    assert edges[63 - column.argmax()] < 1000 < edges[65 - column.argmax()]


def test_silence_is_the_floor_and_high_frequencies_are_on_top() -> None:
    assert (log_mel(np.zeros(RATE, np.float32), RATE, 64) == FLOOR).all()
    x = np.sin(2 * np.pi * 7000 * np.arange(RATE) / RATE).astype(np.float32)
    assert log_mel(x, RATE, 64)[:, 50].argmax() < 8


def test_a_second_has_a_hundred_columns_at_any_rate() -> None:
    for rate in (8000, 16000, 22050, 44100):
        assert log_mel(np.ones(rate, np.float32), rate, 40).shape == (40, 100)
    assert log_mel(np.ones(50, np.float32), 16000, 40).shape == (40, 1)
