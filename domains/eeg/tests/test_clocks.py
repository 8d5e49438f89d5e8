"""Columns of text files that tell the time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_kit import UsageError
from ssl_kit_eeg.clocks import is_no_signal, unit_of_times
from ssl_kit_eeg.source_base import Source
from ssl_kit_eeg.sources import open_source

RATE = 128
PAUSED = np.concatenate([np.arange(600), np.arange(600) + RATE * 3600]) / RATE


def write(path: Path, times: np.ndarray, header: str = "") -> Path:
    rows = [f"{time:.10g},{line % 7}.5,{line % 5}" for line, time in enumerate(times)]
    path.write_text("\n".join([header, *rows] if header else rows))
    return path


def pauses(source: Source) -> list[float]:
    return [span.start for span in source.spans]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("Time (s)", 1),
        ("time_ms", 1e-3),
        ("Timestamp [us]", 1e-6),
        ("t", 0),
        ("time stamp", 0),
        ("Time in seconds", 1),
        ("seconds", 1),
        ("LSL timestamps", 0),
        ("Time (min)", 60),
        ("min", None),
        ("T3", None),
        ("T (uV)", None),
        ("time marker", None),
        ("", None),
    ],
)
def test_names_of_times_and_their_units(name: str, unit: float | None) -> None:
    assert unit_of_times(name) == unit


def test_columns_that_count_lines_are_no_signal() -> None:
    assert [is_no_signal(n) for n in ("Sample Index", "index", "", "Cz")] == [True] * 3 + [False]


@pytest.mark.parametrize(
    ("name", "factor"), [("Time (s)", 1), ("time_ms", 1000), ("t", 1), ("t [s]", 1)]
)
def test_a_column_of_times_with_a_unit_tells_pauses(
    tmp_path: Path, name: str, factor: float
) -> None:
    source = open_source(write(tmp_path / "a.csv", PAUSED * factor, f"{name},Cz,Pz"), RATE)
    assert source.names == ("Cz", "Pz")
    assert pauses(source) == [0, 3600]


def test_a_unit_that_contradicts_the_rate_is_named(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "a.csv", PAUSED, "time_ms,Cz,Pz"), RATE)
    assert "does not fit data.options.rate" in source.remarks[0]


def test_the_unit_in_the_name_chooses_the_suggested_rate(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", np.arange(100) / 25, "Time (s),Cz,Pz")
    with pytest.raises(UsageError, match=r"suggests 25\)"):
        open_source(path)


@pytest.mark.parametrize("factor", [1, 1000])
def test_a_first_column_without_a_name_can_be_a_clock(tmp_path: Path, factor: float) -> None:
    source = open_source(write(tmp_path / "a.csv", PAUSED * factor), RATE)
    assert source.names == ("eeg1", "eeg2")
    assert pauses(source) == [0, 3600]
    assert "tells the time" in source.remarks[0]


def test_a_first_column_without_a_name_can_count_lines(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "a.csv", np.arange(300)), RATE)
    assert source.names == ("eeg1", "eeg2")
    assert "counts the lines" in source.remarks[0]


def test_a_first_column_without_a_name_is_else_a_channel(tmp_path: Path) -> None:
    wave = 50 * np.sin(np.arange(600) / 300)
    assert len(open_source(write(tmp_path / "a.csv", wave), RATE).names) == 3
