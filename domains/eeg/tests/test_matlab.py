"""Recordings in MATLAB files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from ssl_kit import DataError, UsageError
from ssl_kit_eeg.recordings import RecordingConfig, Recordings
from ssl_kit_eeg.sources import open_source

X = np.random.default_rng(0).normal(0, 20, (3, 1280)).astype(np.float32)
NAMES = np.array(["T3", "EEG Pz-REF", "ECG"], dtype=object)


def opened(path: Path, **options: Any) -> Recordings:
    return Recordings.open(path, RecordingConfig(**{"image": "signal", **options}), None)


def chanlocs() -> np.ndarray:
    locations = np.zeros((1, 3), dtype=[("labels", object), ("X", object)])
    locations["labels"], locations["X"] = NAMES, 0.5
    return locations


@pytest.mark.parametrize(
    "content",
    [
        {"data": X, "fs": 128.0, "channels": NAMES},
        {"signal": X.T, "srate": 128, "ch_names": NAMES, "note": "made up"},
        {"EEG": {"data": X, "srate": 128.0, "chanlocs": chanlocs(), "times": np.arange(1280.0)}},
    ],
)
def test_signal_rate_and_names_are_found(tmp_path: Path, content: dict[str, Any]) -> None:
    savemat(tmp_path / "a.mat", content)
    source = open_source(tmp_path / "a.mat")
    assert (source.names, source.others, source.rate) == (("T7", "Pz"), ("ECG",), 128)
    assert np.array_equal(source.read(5, 90, ["Pz"]), X[1:2, 5:90])
    assert opened(tmp_path).channels == ("T7_uv", "Pz_uv")


def test_a_file_without_a_rate_asks_for_it(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"data": X})
    with pytest.raises(UsageError, match=r"data 3x1280 float32.*data\.options\.rate=HZ"):
        opened(tmp_path)
    assert len(opened(tmp_path, rate=128)) == 2


@pytest.mark.parametrize("shape", [(1280, 1), (1, 1280)])
def test_a_vector_is_one_channel(tmp_path: Path, shape: tuple[int, int]) -> None:
    savemat(tmp_path / "a.mat", {"ictal": X[0].reshape(shape), "fs": 128})
    source = open_source(tmp_path / "a.mat")
    assert np.array_equal(source.read(5, 90, ["eeg1"]), X[:1, 5:90])


def test_of_several_arrays_one_is_named(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"before": X, "after": X * 2, "fs": 128})
    with pytest.raises(DataError, match=r"2 arrays: .*before 3x1280.*data\.options\.variable=NAME"):
        opened(tmp_path)
    source = open_source(tmp_path / "a.mat", 0, "after")
    assert np.array_equal(source.read(0, 9, ["eeg1"]), X[:1, :9] * 2)


def test_no_window_lies_across_two_trials(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"data": X.reshape(3, 256, 5), "fs": 128})
    data = opened(tmp_path, window=1.5)
    assert [data.index.key(i).partition("#")[2] for i in range(len(data))] == [
        "0",
        "2",
        "4",
        "6",
        "8",
    ]
    assert any("taken for trials" in remark for remark in data.index.remarks)
