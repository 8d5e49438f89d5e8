from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]

from ssl_kit_audio.audio_files import AudioConfig, AudioFiles

RATE = 16000


def chirp(seconds: float) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return 0.3 * np.sin(2 * np.pi * (200 + 100 * t) * t)


def worst_window(folder: Path, path: Path) -> float:
    """Returns the largest difference of a window from the same samples of the whole file."""
    whole, _ = soundfile.read(path, dtype="float32")
    windows = AudioFiles.open(folder, AudioConfig(image="waveform"))
    parts = [whole[i * RATE : (i + 1) * RATE] for i in range(len(windows))]
    return max(np.abs(windows.signal(i)[0] - part).max() for i, part in enumerate(parts))


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
def test_windows_of_mp3_have_the_values_of_the_whole_file(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.mp3"
    how = {"format": "MP3", "compression_level": 0.9, "bitrate_mode": mode}
    with soundfile.SoundFile(path, "w", RATE, 1, **how) as audio:
        audio.write(chirp(4))
    assert worst_window(tmp_path, path) < 1e-5


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_windows_of_ogg_have_the_values_of_the_whole_file(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, chirp(8), RATE, format="OGG", subtype=subtype)
    assert worst_window(tmp_path, path) < 1e-3


def test_windows_of_mp3_write_nothing_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    t = np.arange(8 * RATE) / RATE
    bursts = sum(np.sin(2 * np.pi * hertz * t) for hertz in (130, 390, 1200, 2300)) / 13
    soundfile.write(tmp_path / "a.mp3", (np.sin(2 * np.pi * 2.3 * t) > 0) * bursts, RATE)
    windows = AudioFiles.open(tmp_path, AudioConfig(image="waveform"))
    for i in range(len(windows)):
        windows.signal(i)
    assert not capfd.readouterr().err
