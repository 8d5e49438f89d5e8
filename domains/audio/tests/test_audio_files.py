from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]

from ssl_kit import DataError
from ssl_kit.data import LabelSource
from ssl_kit_audio.audio_files import AudioConfig, AudioFiles

RATE = 16000
SINE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)


def opened(path: Path, **options: Any) -> AudioFiles:
    return AudioFiles.open(path, AudioConfig(image="waveform", **options))


def write(path: Path, samples: np.ndarray = SINE, rate: int = RATE, **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **how)
    return path


def sine(seconds: float, rate: int, hertz: float = 440) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_number_type_is_scaled_to_full_scale_1(tmp_path: Path, subtype: str) -> None:
    write(tmp_path / "a.wav", subtype=subtype)
    image = opened(tmp_path).read(0)
    assert image.shape == (1, RATE, 1)
    assert image.dtype == np.float32
    assert np.abs(image[0, :, 0] - SINE[:RATE]).max() < (0.01 if subtype == "PCM_U8" else 1e-4)


@pytest.mark.parametrize("name", ["a.flac", "a.aiff", "a.au", "a.ogg", "a.mp3", "a.caf"])
def test_other_formats_give_the_samples_of_wav(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)
    x = opened(tmp_path).signal(1)[0]
    loss = 0.05 if name.endswith(("ogg", "mp3")) else 1e-3
    assert np.abs(x[2000:-2000] - SINE[RATE + 2000 : -2000]).mean() < loss


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_other_rates_are_resampled_without_a_shift(tmp_path: Path, rate: int) -> None:
    write(tmp_path / "a.wav", sine(3, rate), rate)
    dataset = opened(tmp_path)
    assert len(dataset) == 3
    assert np.abs(dataset.signal(1)[0] - sine(3, RATE)[RATE : 2 * RATE]).max() < 0.01


def test_what_lies_above_half_the_rate_is_not_folded_down(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", sine(1, 44100, 12000), 44100)
    assert np.abs(opened(tmp_path).signal(0)[0, 1000:-1000]).max() < 0.01


def test_channels_are_averaged_or_chosen(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.stack([SINE, np.zeros_like(SINE)], axis=1))
    both = opened(tmp_path)
    assert np.allclose(both.signal(0)[0], SINE[:RATE] / 2, atol=1e-4)
    assert "averaged" in " ".join(both.index.remarks)
    assert np.allclose(opened(tmp_path, channel=0).signal(0)[0], SINE[:RATE], atol=1e-4)
    with pytest.raises(DataError, match="has 2 channels and none of number 2"):
        opened(tmp_path, channel=2)


def test_windows_follow_the_stride_and_reach_the_end(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", sine(2.75, RATE))
    dataset = opened(tmp_path, stride=0.5)
    assert dataset.index.positions[:, 1].tolist() == [0, 0.5, 1, 1.5]
    dataset = opened(tmp_path)
    assert dataset.index.positions[:, 1].tolist() == [0, 1, 1.75]  # not a short one
    assert dataset.index.key(2) == "a.wav#1.75"
    assert len(np.unique(dataset.index.groups)) == 1


@pytest.mark.parametrize("short", ["silence", "repeat"])
def test_short_recordings_are_filled(tmp_path: Path, short: str) -> None:
    write(tmp_path / "a.wav", SINE[:4000])
    dataset = opened(tmp_path, short=short)
    rest = dataset.signal(0)[0, 4000:8000]
    expected = SINE[:4000] if short == "repeat" else np.zeros(4000)
    assert np.allclose(rest, expected, atol=1e-4)
    assert "shorter than 1 s" in " ".join(dataset.index.remarks)


def test_a_damaged_file_is_named_with_the_reason(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_bytes(b"no audio at all")
    soundfile.write(tmp_path / "c.wav", np.zeros(0), RATE)
    dataset = opened(tmp_path)
    assert dataset.read(0).shape == (1, RATE, 1)
    with pytest.raises(DataError, match="no audio that libsndfile reads"):
        dataset.read(dataset.index.keys.tolist().index(b"b.wav"))
    with pytest.raises(DataError, match="no samples"):
        dataset.read(dataset.index.keys.tolist().index(b"c.wav"))


def test_a_file_that_was_cut_off_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", np.random.default_rng(0).normal(0, 0.1, 4 * RATE))
    path.write_bytes(path.read_bytes()[:-60000])
    dataset = opened(tmp_path)
    with pytest.raises(DataError, match=r"is damaged|shorter than its header"):
        dataset.signal(len(dataset) - 1)


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.where(np.arange(RATE) == 5, np.nan, 0.1), subtype="FLOAT")
    with pytest.raises(DataError, match="no numbers"):
        opened(tmp_path).read(0)


def test_float_samples_beyond_full_scale_are_not_clipped(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", 8 * SINE, subtype="FLOAT")
    assert opened(tmp_path).value_range.tolist() == [[-4.0, 4.0]]


def test_a_slow_file_is_said_to_have_no_high_sounds(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", sine(1, 8000), 8000)
    assert "no sound above 4,000 Hz" in " ".join(opened(tmp_path).index.remarks)


def test_folders_are_speakers_where_asked_for(tmp_path: Path) -> None:
    for name in ("19/198/19-198-0000", "19/227/19-227-0000", "26/495/26-495-0000"):
        write(tmp_path / f"{name}.flac", SINE[:RATE])
    index = opened(tmp_path, group="folder").index
    assert [index.group(i) for i in range(3)] == ["19", "19", "26"]
    assert set(index.labels.tolist()) == {-1}


def test_names_of_files_give_label_and_speaker_by_a_layout(tmp_path: Path) -> None:
    for name in ("0_george_0", "0_lucas_0", "1_george_0"):
        write(tmp_path / f"{name}.wav", SINE[:RATE])
    labels = LabelSource(layout="{label}_{group}_*")
    index = AudioFiles.open(tmp_path, AudioConfig(), labels).index
    assert [index.label(i) for i in range(3)] == ["0", "0", "1"]
    assert [index.group(i) for i in range(3)] == ["george", "lucas", "george"]


def test_recordings_of_a_speaker_are_in_the_natural_order_of_their_names(tmp_path: Path) -> None:
    for i in (1, 2, 10):
        write(tmp_path / "speaker" / f"talk {i}.wav")
    index = opened(tmp_path, group="folder").index
    order = np.lexsort(index.positions.T[::-1]).tolist()
    assert [index.key(i).partition("#")[0] for i in order[::2]] == [
        f"speaker/talk {i}.wav" for i in (1, 2, 10)
    ]
    assert any("in the order of their names" in remark for remark in index.remarks)
