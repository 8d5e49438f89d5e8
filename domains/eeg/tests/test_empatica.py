from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_kit import DataError, UsageError
from ssl_kit_eeg.empatica import Empatica, EmpaticaConfig
from ssl_kit_eeg.wristband import CHANNELS


def opened(path: Path, **options: Any) -> Empatica:
    return Empatica.open(path, EmpaticaConfig(**options))


def write(folder: Path, name: str, start: float, rate: float, values: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    columns = values.reshape(len(values), -1)
    rows = [[start] * columns.shape[1], [rate] * columns.shape[1], *columns]
    text = "\n".join(", ".join(f"{v:.6f}" for v in row) for row in rows)
    (folder / f"{name}.csv").write_text(text + "\n")


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A subject whose signals are functions of one clock, and begin at different times."""
    for name, start, rate in (("EDA", 1000.0, 4), ("HR", 1010.0, 1), ("TEMP", 1000.5, 4)):
        time = start + np.arange(300 * rate) / rate
        write(tmp_path / "S01", name, start, rate, np.sin(time / 20) + 5)
    time = 1000 + np.arange(300 * 32) / 32
    acc = np.stack([64 * np.sin(time / 20), 0 * time, 64 + 32 * np.sin(2 * np.pi * 8 * time)], 1)
    write(tmp_path / "S01", "ACC", 1000.0, 32, acc)
    beats = np.cumsum(np.full(300, 0.9))
    rows = "\n".join(f"{t:.6f},{0.9:.6f}" for t in beats)
    (tmp_path / "S01" / "IBI.csv").write_text("1000.000000, IBI\n" + rows)
    return tmp_path


def test_all_signals_are_on_one_clock(session: Path) -> None:
    data = opened(session, scale="none", rate=2, window=20)
    assert data.channels == ("acc_x_g", "acc_y_g", "acc_z_g", "eda_us", "temp_c", "hr_bpm")
    image = data.read(3)
    time = 1010 + 3 * 20 + np.arange(40) / 2
    assert image.shape == (1, 40, 6)
    for channel, offset, close in ((3, 5, 1e-2), (4, 5, 1e-2), (5, 5, 1e-2), (0, 0, 1e-2)):
        expected = np.sin(time / 20) + offset
        np.testing.assert_allclose(image[0, :, channel], expected, atol=close)


def test_what_is_faster_than_the_rate_is_averaged(session: Path) -> None:
    x = opened(session, signals=["acc"], scale="none", rate=4).read(0)[0]
    np.testing.assert_allclose(x[2:-2, 2], 1, atol=0.02)  # 8 Hz of half a g is gone


def test_beats_become_a_signal(session: Path) -> None:
    x = opened(session, signals=["hr", "ibi"], scale="none").read(0)[0]
    np.testing.assert_allclose(x[:, 1], 0.9, atol=1e-6)


def test_a_session_has_mean_0_and_deviation_1(session: Path) -> None:
    data = opened(session, window=20)
    x = np.concatenate([data.read(i)[0] for i in range(len(data))])
    np.testing.assert_allclose(x[:, [0, 3, 4, 5]].mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(x[:, [0, 3, 4, 5]].std(axis=0), 1, atol=0.05)
    assert data.value_range.tolist() == [[-6, 6]] * 6


def test_the_scale_of_the_start_of_a_session_tells_nothing_of_later_time(tmp_path: Path) -> None:
    early = np.random.default_rng(0).normal(5, 2, 400)
    for name, later in (("S1", 0), ("S2", 1000)):
        values = np.concatenate([early, early[:200] + later])
        write(tmp_path / name, "EDA", 0.0, 4, values)
        write(tmp_path / name, "TEMP", 0.0, 4, values)
    data = opened(tmp_path, signals=["eda", "temp"], window=10, scale_until=0.5)
    first, second = ([data.read(k * len(data) // 2 + i) for i in range(9)] for k in (0, 1))
    np.testing.assert_array_equal(first, second)
    assert np.concatenate(first, axis=1).std() == pytest.approx(1, abs=0.1)


def test_intervals_label_windows_by_subject(session: Path, tmp_path: Path) -> None:
    table = tmp_path / "tasks.csv"
    table.write_text("subject,start,end,label\nS01,1000,1062,rest\nS01,1062,1100,stroop\nX,0,9,y\n")
    data = opened(session, window=20, intervals=str(table))
    labels = [data.index.classes[k] if k >= 0 else "" for k in data.index.labels]
    assert labels[:6] == ["rest", "rest", "rest", "stroop", "stroop", ""]
    table.write_text("who,when\na,b\n")
    with pytest.raises(UsageError, match="subject, start, end, label"):
        opened(session, intervals=str(table))


def test_intervals_match_subjects_in_other_spellings(session: Path, tmp_path: Path) -> None:
    table = tmp_path / "tasks.csv"
    table.write_text("Subject,Start,End,Label\nsubject s01,1000,1062,rest\nSECRET,0,9,y\n")
    data = opened(session, window=20, intervals=str(table))
    assert data.index.label(0) == "rest"
    remarks = " ".join(data.index.remarks)
    assert "1 of 2 subjects of data.options.intervals are not in the data, and 0 of 1" in remarks
    assert "SECRET" not in remarks
    with pytest.raises(UsageError, match=r"none\.csv' does not exist"):
        opened(session, intervals=str(tmp_path / "none.csv"))


def test_the_group_is_the_subject_in_time_order(session: Path) -> None:
    (session / "S01").rename(session / "S01_rest")
    (session / "S01").mkdir()
    (session / "S01_rest").rename(session / "S01" / "morning")
    data = opened(session, subject=2, window=20)
    assert data.index.group_names.tolist() == [b"S01"]
    assert (np.diff(data.index.positions[:, 1]) == 20).all()
    assert data.index.key(1) == "S01/morning#20"


def test_reads_the_real_wristbands(real_data: Path) -> None:
    data = opened(real_data / "stress_predict")
    assert data.index.group_names.tolist() == [f"S{i:02d}".encode() for i in range(1, 11)]
    assert len(data) == 545
    raw = opened(real_data / "stress_predict", scale="none", signals=["acc", "hr", "ibi", "temp"])
    middle = np.median([raw.read(i)[0].mean(axis=0) for i in range(0, 545, 25)], axis=0)
    assert np.linalg.norm(middle[:3]) == pytest.approx(1, abs=0.7)  # g
    assert 50 < middle[3] < 120
    assert middle[4] == pytest.approx(60 / middle[3], rel=0.2)
    assert 25 < middle[5] < 38


def test_is_chosen_for_such_folders_only(session: Path, tmp_path: Path) -> None:
    assert Empatica.accepts(session)
    assert Empatica.accepts(session / "S01")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "EDA.csv").write_text("1\n2\n")
    assert not Empatica.accepts(tmp_path / "other")


def test_a_spawned_process_opens_files_itself(session: Path) -> None:
    data = opened(session)
    assert np.array_equal(pickle.loads(pickle.dumps(data)).read(1), data.read(1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty"),
        ("garbage", "does not begin"),
        ("1000\n0\n5\n6", "0 samples a second"),
        ("1000\ninf\n5\n6", "inf samples a second"),
        ("nan\n4\n5\n6", "samples a second|does not begin"),
        ("1000\n4\n5\n6\n7", "of all signals, less than"),
        ("9000000\n4\n" + "5\n" * 2000, "0 s of all signals"),
        (None, "has no EDA.csv"),
    ],
)
def test_hostile_files_are_refused_with_the_reason(
    session: Path, content: str | None, reason: str
) -> None:
    path = session / "S01" / "EDA.csv"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(DataError, match=reason) as caught:
        opened(session)
    assert "S01" in str(caught.value)


def test_damage_inside_is_found_when_it_is_read(session: Path) -> None:
    path = session / "S01" / "EDA.csv"
    lines = path.read_text().split("\n")
    lines[700] = "five"
    path.write_text("\n".join(lines))
    data = opened(session, scale="none", window=20)
    data.read(0)
    with pytest.raises(DataError, match=r"EDA\.csv.*not numbers"):
        [data.read(i) for i in range(len(data))]


def test_options_that_give_the_channels_of_an_encoder(tmp_path: Path) -> None:
    write(tmp_path, "EDA", 0, 4, np.ones(400))
    data = opened(tmp_path, signals=("eda",), window=10)
    wanted = (*CHANNELS["temp"], *CHANNELS["acc"])
    assert data.options_for(wanted) == {"signals": ["temp", "acc"]}
    assert data.options_for(wanted[:-1]) == {}


def test_sessions_of_a_subject_follow_the_clock(tmp_path: Path) -> None:
    for name, start in (("Final", 3e6), ("Midterm 1", 1e6), ("Midterm 2", 2e6)):
        write(tmp_path / "S1" / name, "EDA", start, 4, np.ones(400))
        write(tmp_path / "S1" / name, "TEMP", start, 4, np.ones(400))
    data = opened(tmp_path, signals=["eda", "temp"], subject=2, window=40)
    order = np.lexsort(data.index.positions.T[::-1]).tolist()
    assert [data.index.key(i).partition("#")[0] for i in order] == [
        f"S1/{name}"
        for name in ("Midterm 1", "Midterm 1", "Midterm 2", "Midterm 2", "Final", "Final")
    ]
    assert "The recordings of 1 group are in the order of their start times." in data.index.remarks


def test_intervals_are_found_from_another_folder(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tasks.csv").write_text("subject,start,end,label\nS01,1000,1062,rest\n")
    monkeypatch.chdir(tmp_path)
    options = EmpaticaConfig(window=20, intervals="tasks.csv")
    monkeypatch.chdir("/")
    assert Empatica.open(session, options).index.label(0) == "rest"
