from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit_eeg.channel_types import microvolts_of, types_of
from ssl_kit_eeg.electrodes import canonical
from ssl_kit_eeg.recordings import RecordingConfig, Recordings
from ssl_kit_eeg.sources import open_source


def opened(path: Path, **options: Any) -> Recordings:
    return Recordings.open(path, RecordingConfig(**{"image": "signal", **options}), None)


def noise(t: np.ndarray) -> np.ndarray:
    return 20 * np.sin(2 * np.pi * 7.3 * t)


EEG = ["EEG Fpz-Cz", "Cz", "EEG T3-REF", "FP1-F7", "C3-M2", "A12", "E27", "7", "EEG 001", "eeg1"]
EEG += ["POL LA3", "SEEG B'4", "EEG temporal left", "T9-Ref", "CH 3", "EEG FP2-LE"]
OTHER = ["EOG horizontal", "Resp oro-nasal", "EMG submental", "Temp rectal", "SaO2", "ECG", "ROC"]
OTHER += ["Event marker", "EEG EKG1-REF", "EEG LOC-REF", "PHOTIC-REF", "IBI", "BURSTS", "SUPPR"]
OTHER += ["E1-M2", "EMGright", "HEOG", "LOC-A2", "Chin1-Chin2", "LAT", "SpO2", "H.R.", "POL DC01"]
OTHER += ["Nasal pressure", "ABDO RES", "THOR RES", "POSITION", "Pulse rate", "aux1", "Leg/L", "PR"]
OTHER += ["Right AUX", "RightAUX", "LEOG", "EXG1", "REF", "GND", "CMS", "Plet"]
OTHER += ["EKG", "Snore", "Airflow", "Flow", "Light", "OX STAT", "GSR1", "STI 014", "Trigger"]


@pytest.mark.parametrize("name", EEG)
def test_names_of_eeg(name: str) -> None:
    assert types_of([name]) == ["eeg"]


@pytest.mark.parametrize("name", OTHER)
def test_names_of_other_signals(name: str) -> None:
    assert types_of([name]) == ["other"]


def test_a_unit_that_is_no_voltage_and_a_name_that_says_nothing() -> None:
    assert types_of(["X1", "X1", "Fp1", "Ergo"], ["degC", "uV", "?", "uV"]) == [
        "other", "eeg", "eeg", "unknown",
    ]  # fmt: skip
    assert types_of(["E1", "E2", "E3"]) == ["eeg"] * 3


@pytest.mark.parametrize(
    ("unit", "microvolts"),
    [
        ("uV", 1),
        ("µV", 1),
        ("μV", 1),
        ("Âµv", 1),
        ("uVolt", 1),
        ("microvolts", 1),
        ("Volt", 1e6),
        ("mV", 1e3),
        ("nV", 1e-3),
        ("V", 1e6),
        ("%", 0),
    ],
)
def test_units(unit: str, microvolts: float) -> None:
    assert (microvolts_of(unit) or 0) == microvolts


def test_names_of_one_electrode_are_one() -> None:
    names = ["T3", "EEG T4-LE", "t5.", "T6", "EEG FP1-REF", "fz-CZ", "EEG T3-C3", "T3-C3-REF"]
    expected = ["T7", "T8", "P7", "P8", "Fp1", "Fz-Cz", "T7-C3", "T7-C3-1"]
    assert canonical(names) == expected
    assert canonical(["T3", "T7", "Cz", "EEG Cz"]) == ["T3", "T7", "Cz", "Cz-1"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["T3", "T4", "Cz"], ["T7", "T8", "Cz"]),
        (["FP1-F7", "F7-T3", "FZ-CZ"], ["Fp1-F7", "F7-T7", "Fz-Cz"]),
        (["EEG Fpz-Cz", "EEG T5-REF"], ["FPZ-CZ", "P7"]),
        (["Left front", "Right front"], ["LEFT FRONT", "right  front"]),
    ],
)
def test_all_spellings_of_a_channel_are_read(write_edf, tmp_path: Path, one, other) -> None:
    x = np.random.default_rng(0).integers(-50, 50, (len(one), 600))
    for i in range(4):
        write_edf(x, name=f"{i}.edf", names=one if i % 2 else other)
    data = opened(tmp_path)
    assert len(data.channels) == len(one)
    assert all(np.array_equal(data.read(i), data.read(0)) for i in range(len(data)))


def test_a_remark_names_what_is_left_out(write_edf, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(-50, 50, (3, 600))
    write_edf(x, name="a.edf", names=["Cz", "EOG left", "Pz"])
    write_edf(x, name="b.edf", names=["Cz", "EOG left", "Oz"])
    data = opened(tmp_path)
    assert data.channels == ("Cz_uv",)
    remarks = " ".join(data.index.remarks)
    assert "1 channel is not taken for EEG and left out: EOG left;" in remarks
    assert "Pz (in 1 of 2), Oz (in 1 of 2)" in remarks
    assert "SECRET" not in remarks
    chosen = opened(tmp_path, channels=["EOG Left", "cz"])
    assert (chosen.channels, len(chosen.index.remarks)) == (("EOG left_uv", "Cz_uv"), 1)


def test_channels_whose_names_say_nothing_are_eeg_only_among_themselves(write_edf) -> None:
    x = np.random.default_rng(0).integers(-50, 50, (2, 600))
    data = opened(write_edf(x, names=["Left", "Right"]))
    assert data.channels == ("Left_uv", "Right_uv")
    assert "2 channels are taken for EEG, because no channel" in data.index.remarks[0]
    assert opened(write_edf(x, names=["Left", "Cz"])).channels == ("Cz_uv",)


def test_a_recording_without_eeg_is_read_with_a_remark(write_edf) -> None:
    x = np.random.default_rng(0).integers(-50, 50, (1, 600))
    data = opened(write_edf(x, names=["ECG"]))
    assert data.channels == ("ECG_uv",)
    assert "no channel is EEG by its name: ECG" in data.index.remarks[0]


def test_units_of_edf_are_microvolts(write_records) -> None:
    path = write_records(
        [("Cz", 128, noise), ("Pz", 128, noise), ("Oz", 128, noise)],
        range(6),
        units=["uV", "mV", ""],
    )
    source = open_source(path)
    x = source.read(0, 256, source.names)
    np.testing.assert_allclose(x[1], 1000 * x[0], rtol=1e-6)
    np.testing.assert_array_equal(x[2], x[0])
    assert "microvolts are assumed" in " ".join(opened(path).index.remarks)


def test_text_with_other_columns(tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i % 7},{i % 5},{i % 2}" for i in range(900))
    (tmp_path / "a.csv").write_text(f"time,Cz,EOG,marker\n{rows}\n")
    data = opened(tmp_path, rate=100)
    assert data.channels == ("Cz_uv",)
    assert "EOG, marker" in data.index.remarks[0]


def test_samples_that_are_no_numbers_are_counted_and_a_window_of_nothing_else_is_refused(tmp_path):
    rows = [f"{i % 7},{'nan' if 100 <= i < 120 else i % 5}" for i in range(800)]
    rows += ["nan,nan"] * 800
    (tmp_path / "a.csv").write_text("Cz,Pz\n" + "\n".join(rows))
    options = {"rate": 100, "window": 1, "band": (0.0, 40.0)}
    dataset = Recordings.open(tmp_path, Recordings.Config(**options))
    assert [dataset[i].incomplete for i in (0, 1, 4)] == [True, True, False]  # by the filter
    with pytest.raises(DataError, match="none of its samples is a number"):
        dataset[12]
