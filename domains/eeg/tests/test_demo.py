from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_kit_eeg.brain import ELECTRODES, STATES
from ssl_kit_eeg.demo import Demo
from ssl_kit_eeg.pictures import BANDS, band_powers
from ssl_kit_eeg.windows import WindowConfig


def demo(image: str = "signal") -> Demo:
    return Demo.open(Path(), WindowConfig(image=image))


def powers(state: str) -> np.ndarray:
    data = demo()
    rows = np.flatnonzero(data.index.labels == data.index.classes.index(state))[::3]
    return np.mean([band_powers(data.signal(i), 128) for i in rows.tolist()], axis=0)


def test_is_labeled_evenly_and_a_group_is_a_subject() -> None:
    index = demo().index
    assert index.classes == tuple(sorted(STATES))
    assert np.bincount(index.labels).tolist() == [128] * 4
    assert np.bincount(index.groups).tolist() == [32] * 16
    assert index.positions[33].tolist() == [1, 60]


@pytest.mark.parametrize(
    ("image", "shape", "channel"),
    [
        ("signal", (1, 640, 8), "F3_uv"),
        ("grid", (8, 640, 1), "grid"),
        ("spectrogram", (45, 65, 8), "F3_spectrogram"),
        ("mel", (32, 65, 8), "F3_mel"),
        ("scalogram", (40, 64, 8), "F3_scalogram"),
        ("topography", (64, 64, 5), "delta_map"),
    ],
)
def test_has_all_kinds_of_images(image: str, shape: tuple[int, ...], channel: str) -> None:
    data = demo(image)
    sample = data[3]
    assert data.channels[0] == channel
    assert sample.image.shape == shape
    assert 0 <= sample.image.min() < sample.image.max() <= 1


def test_closed_eyes_show_alpha_at_the_back() -> None:
    alpha = list(BANDS).index("alpha")
    gain = (powers("eyes_closed") - powers("eyes_open"))[:, alpha]
    back, front = ELECTRODES.index("O1"), ELECTRODES.index("F3")
    assert gain[back] > 3
    assert gain[back] > gain[front]


def test_sleep_is_slow_and_seizures_are_large() -> None:
    assert (powers("sleep") - powers("eyes_open"))[0, 0] > 3
    data = demo()
    size = {}
    for state in STATES:
        rows = np.flatnonzero(data.index.labels == data.index.classes.index(state))[::8]
        size[state] = np.mean([data.signal(i).std() for i in rows.tolist()])
    assert size["seizure"] > 1.5 * size["eyes_open"]
    assert 5 < size["eyes_open"] < 60  # microvolts


def test_the_background_falls_with_frequency() -> None:
    data = demo()
    x = np.concatenate([data.signal(i)[:, :512] for i in range(0, 8)])
    power = (np.abs(np.fft.rfft(x * np.hanning(512))) ** 2).mean(axis=0)
    slow, fast = power[8:20].mean(), power[140:180].mean()
    assert slow > 10 * fast
