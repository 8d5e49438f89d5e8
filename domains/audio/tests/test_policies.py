from __future__ import annotations

import numpy as np
import pytest

from ssl_kit import View
from ssl_kit.data import assume_time_to_the_right, augment, evenly_spaced
from ssl_kit.data.views import Renderer
from ssl_kit_audio.corruptions import CORRUPTIONS
from ssl_kit_audio.demo import VOWELS, Demo
from ssl_kit_audio.domain import AUDIO
from ssl_kit_audio.windows import WindowConfig

WAVE = (0.5 + 0.2 * np.sin(2 * np.pi * 440 / 16000 * np.arange(16000)))[None, :, None]


@pytest.mark.parametrize("policy", AUDIO.policies)
def test_waveforms_are_cropped_and_not_resized(policy: str) -> None:
    views = (View(4000, policy=policy),)
    image = Renderer(AUDIO.policies, views, ("waveform",), 0)(WAVE.astype(np.float32), 0, 0, 0)
    spectrum = np.abs(np.fft.rfft(image[0, :, 0] - 0.5))
    assert image.shape == (1, 4000, 1)
    assert abs(spectrum.argmax() * 4 - 440) <= 4


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_grow_with_their_strength(name: str) -> None:
    corruption, changes = CORRUPTIONS[name], []
    wave = np.random.default_rng(0).normal(0.5, 0.03, WAVE.shape).astype(np.float32)
    for strength in corruption.strengths:
        transform = corruption.transform(strength, ("waveform",))
        pipeline = augment.Compose([transform])
        pipeline.set_random_seed(0)
        changes.append(float(np.square(pipeline(image=wave)["image"] - wave).mean()))
    assert changes[0] > 0
    assert changes[-1] > changes[0]


def test_pictures_in_files_are_corrupted_by_noise_only() -> None:
    made = {name: c.transform(c.strengths[0], ("red",)) for name, c in CORRUPTIONS.items()}
    assert [name for name, transform in made.items() if transform] == ["noise"]


def test_the_vowels_of_the_demo_differ_in_their_formants() -> None:
    demo = Demo(options=WindowConfig())
    assert len(demo) == 480
    assert demo.read(0).shape == (64, 100, 1)
    spectra = {
        vowel: np.mean(
            [
                demo.read(i).mean(axis=(1, 2))
                for i in range(0, 480, 5)
                if demo.index.label(i) == vowel
            ],
            0,
        )
        for vowel in ("i", "u")
    }
    high = slice(18, 30)  # about 2 to 3.5 kHz, where the second and third formant of i are
    assert (spectra["i"] - spectra["u"])[high].mean() > 3
    assert set(demo.index.classes) == set(VOWELS)


def test_the_same_clip_is_the_same_sound() -> None:
    demo = Demo(options=WindowConfig(image="waveform"))
    for i in evenly_spaced(len(demo), 3).tolist():
        assert np.array_equal(demo.signal(i), demo.signal(i))
        assert np.abs(demo.signal(i)).max() < 1


def test_ordinary_pictures_are_said_to_be_of_signals(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assume_time_to_the_right.cache_clear()
    AUDIO.policies["default"](View(16), ("mel",))
    assert not caplog.text
    AUDIO.policies["default"](View(16), ("gray",))
    assert "taken for pictures of signals, with time to the right" in caplog.text
