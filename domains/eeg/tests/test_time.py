from __future__ import annotations

from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest

from ssl_kit import DataError, UsageError
from ssl_kit_eeg.recordings import RecordingConfig, Recordings
from ssl_kit_eeg.sources import open_source
from ssl_kit_eeg.tal import times_in


def opened(path: Path, **options: Any) -> Recordings:
    return Recordings.open(path, RecordingConfig(**{"image": "signal", **options}), None)


def wave(hertz: float, microvolts: float = 50) -> Any:
    return lambda t: microvolts * np.sin(2 * np.pi * hertz * t)


def largest_error(data: Recordings, i: int, *waves: Any) -> float:
    """Returns how far a window is from waves by the clock, but for half a second at its ends."""
    x = data.read(i)[0]
    start = float(data.index.key(i).rpartition("#")[2])
    t = start + np.arange(len(x)) / data.options.resample
    edge = int(data.options.resample / 2)
    off = x - np.stack([each(t) for each in waves], axis=1)
    return float(np.abs(off[edge:-edge]).max())


@pytest.mark.parametrize("name", ["a.edf", "a.bdf"])
@pytest.mark.parametrize("eeg", [128, 100, 512])
@pytest.mark.parametrize("record", [1, 10])
def test_channels_of_any_rate_are_right(write_records, name: str, eeg: int, record: int) -> None:
    channels = [("Cz", eeg, wave(10)), ("ECG", 256, wave(1, 300)), ("Oz", 200, wave(8))]
    data = opened(write_records(channels, np.arange(0, 40, record), name, record))
    assert data.channels == ("Cz_uv", "Oz_uv")
    assert [largest_error(data, i, wave(10), wave(8)) < 1 for i in range(7)] == [True] * 7


def test_a_slow_channel_is_chosen_in_vain(write_records) -> None:
    channels = [("Cz", 128, wave(10)), ("Temp", 1, wave(0.1))]
    path = write_records(channels, range(20))
    assert opened(path, channels=["temp"], band=[0, 0.3]).read(1).std() > 0
    with pytest.raises(DataError, match="1 samples a second of Temp"):
        opened(path, channels=["Cz", "Temp"]).read(0)


def test_gdf_of_several_rates_is_right(tmp_path: Path) -> None:
    channels = [("Cz", 128, wave(10)), ("ECG", 512, wave(1, 300)), ("Oz", 64, wave(8))]
    n, records = len(channels), 20
    head = b"GDF 1.25".ljust(168) + b"2020010100000000"
    head += np.array([256 * (n + 1)], "<i8").tobytes() + bytes(44)
    head += np.array([records], "<i8").tobytes() + np.array([1, 1, n], "<u4").tobytes()
    head += b"".join(name.encode().ljust(16, b"\0") for name, _, _ in channels) + bytes(80 * n)
    head += b"uV".ljust(8, b"\0") * n
    for value, kind in ((-400, "<f8"), (400, "<f8"), (-32768, "<i8"), (32767, "<i8")):
        head += np.full(n, value, kind).tobytes()
    head += bytes(80 * n) + np.array([rate for _, rate, _ in channels], "<i4").tobytes()
    head += np.full(n, 3, "<i4").tobytes() + bytes(32 * n)
    body = [
        np.rint((each(k + np.arange(rate) / rate) + 400) / 800 * 65535 - 32768).astype("<i2")
        for k in range(records)
        for _, rate, each in channels
    ]
    events = b"\1" + bytes(7)  # a table of none
    (tmp_path / "a.gdf").write_bytes(head + b"".join(part.tobytes() for part in body) + events)
    data = opened(tmp_path)
    assert data.channels == ("Cz_uv", "Oz_uv")
    assert max(largest_error(data, i, wave(10), wave(8)) for i in range(3)) < 1


GAP = [*range(12), *(3612.03 + np.arange(14))]


@pytest.mark.parametrize(("name", "kind"), [("a.edf", "+D"), ("a.bdf", "+D"), ("a.edf", "+C")])
def test_no_window_lies_across_a_pause(write_records, name: str, kind: str) -> None:
    notes = [(2, 7, "rest"), (3615, 10, "task"), (3622, 3, "bad")]
    channels = [("Cz", 128, wave(10)), ("ECG", 256, wave(1))]
    data = opened(
        write_records(channels, GAP, name, kind=kind, notes=notes), annotations=True, window=4
    )
    assert [data.index.key(i).partition("#")[2] for i in range(len(data))] == [
        "0", "4", "8", "3612.03", "3616.03",
    ]  # fmt: skip
    assert [data.index.label(i) for i in range(5)] == ["rest", "rest", "", "", "task"]
    assert max(largest_error(data, i, wave(10)) for i in range(5)) < 5
    assert any("have pauses" in remark for remark in data.index.remarks)
    assert any("declares no pauses" in remark for remark in data.index.remarks) == (kind == "+C")


def test_parts_shorter_than_a_window_are_counted_by_the_longest(write_records) -> None:
    path = write_records([("Cz", 128, wave(10))], [0, 1, 2, 10, 11, 20], kind="+D")
    with pytest.raises(DataError, match="lasts 3 s without a pause"):
        opened(path)


def test_what_has_no_order_of_time_is_refused_or_named(write_records) -> None:
    channels, jumbled = [("Cz", 128, wave(10))], [*range(10), *range(5, 15)]
    with pytest.raises(DataError, match="not in the order of time"):
        opened(write_records(channels, jumbled, kind="+D"))
    assert any(
        "contradict" in r for r in opened(write_records(channels, jumbled, kind="+C")).index.remarks
    )
    with pytest.raises(DataError, match="have no times"):
        opened(write_records(channels, range(20), kind="+D", stamped=False))


def test_rounded_times_of_records_are_no_pauses(write_records) -> None:
    onsets = np.round(np.arange(60) / 3, 2)
    path = write_records([("Cz", 120, wave(10))], onsets, seconds=1 / 3, kind="+D")
    assert len(open_source(path).spans) == 1


def test_the_first_record_may_begin_within_a_second(write_records) -> None:
    path = write_records(
        [("Cz", 128, wave(10))], 0.5 + np.arange(9), kind="+C", notes=[(2, 1, "x")]
    )
    source = open_source(path)
    assert [(note.start, note.stop, note.text) for note in source.notes] == [(1.5, 2.5, "x")]
    assert source.began is not None
    assert source.began % 1 == 0.5


def test_annotations_may_be_latin_or_share_an_onset() -> None:
    text = b"+0\x14\x14\0+1.5\x152\x14f\xfcnf\x14zwei\x14\0".ljust(60, b"\0")
    times = times_in([np.frombuffer(text, np.uint8)[None]])
    assert [(n.start, n.stop, n.text) for n in times.notes] == [
        (1.5, 3.5, "fünf"),
        (1.5, 3.5, "zwei"),
    ]


@pytest.mark.parametrize("joint", ["EDGE boundary", "boundary", "New Segment/"])
def test_joints_of_other_formats_are_pauses_too(write_fif, joint: str) -> None:
    x = np.tile(wave(10)(np.arange(128 * 20) / 128), (2, 1))
    data = opened(write_fif(x, notes=[(7, 0, joint), (12, 8, "x")]), annotations=True)
    assert data.index.positions[:, 1].tolist() == [0, 7, 12]
    assert [data.index.label(i) for i in range(3)] == ["", "", "x"]


def write_brainvision(
    folder: Path, stem: str, data: str, markers: str = "", named: str = ""
) -> None:
    samples = np.stack([wave(10)(np.arange(5000) / 250), wave(7)(np.arange(5000) / 250)], axis=1)
    (folder / data).write_bytes(samples.astype("<f4").tobytes())
    (folder / f"{stem}.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={named or data}\nMarkerFile=old.vmrk\nDataFormat=BINARY\n"
        "DataOrientation=MULTIPLEXED\nNumberOfChannels=2\nSamplingInterval=4000\n"
        "[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n[Channel Infos]\n"
        "Ch1=Cz,,1,µV\nCh2=ECG,,1,µV\n",
        encoding="utf-8",
    )
    (folder / f"{stem}.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile=old.eeg\n[Marker Infos]\nMk1=New Segment,,1,1,0,20200101000000000000\n{markers}"
    )


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("new.eeg", "old.eeg"),
        ("new.dat", "old.dat"),
        ("old.eeg", "C:\\study\\old.eeg"),
        ("old.eeg", "OLD.EEG"),
        ("NEW.EEG", "old.eeg"),
    ],
)
def test_a_renamed_brainvision_recording_is_read(tmp_path: Path, data: str, named: str) -> None:
    write_brainvision(tmp_path, "new", data, named=named)
    recordings = opened(tmp_path)
    assert (len(recordings), recordings.channels) == (4, ("Cz_uv",))
    assert largest_error(recordings, 1, wave(10)) < 1
    assert not any("endings" in remark for remark in recordings.index.remarks)


def test_a_missing_data_file_is_named_without_the_old_name(tmp_path: Path) -> None:
    write_brainvision(tmp_path, "new", "other.eeg", named="Jane_Doe.eeg")
    with pytest.raises(DataError, match=r"needs 'new\.eeg'") as caught:
        opened(tmp_path)
    assert "Jane" not in str(caught.value)


def test_segments_of_brainvision_are_apart_by_their_dates(tmp_path: Path) -> None:
    segment = "Mk2=Stimulus,S  1,2001,1,0\nMk3=New Segment,,1751,1,0,20200101001000000000\n"
    write_brainvision(tmp_path, "old", "old.eeg", segment)
    data = opened(tmp_path)
    assert data.index.positions[:, 1].tolist() == [0, 600, 605]
    assert [note.start for note in open_source(tmp_path / "old.vhdr").notes] == [601]


def test_a_renamed_set_finds_its_fdt(real_data: Path, tmp_path: Path) -> None:
    for ending in (".set", ".fdt"):
        content = (real_data / "eeg_formats" / f"test_raw{ending}").read_bytes()
        (tmp_path / f"sub-01{ending}").write_bytes(content)
    first, again = opened(real_data / "eeg_formats" / "test_raw.set"), opened(tmp_path)
    assert np.array_equal(first.read(3), again.read(3))


def test_epochs_are_refused_with_the_reason(tmp_path: Path) -> None:
    info = mne.create_info(["Cz", "Pz"], 128.0, "eeg")
    epochs = mne.EpochsArray(np.zeros((3, 2, 128)), info, verbose="ERROR")
    epochs.save(tmp_path / "a-epo.fif", verbose="ERROR")
    with pytest.raises(DataError, match="holds epochs"):
        opened(tmp_path)


def test_a_data_file_without_a_header_is_named(tmp_path: Path) -> None:
    write_brainvision(tmp_path, "new", "new.eeg")
    (tmp_path / "lost.eeg").write_bytes(bytes(100))
    assert (
        "1 data files without a header are not read, such as 'lost.eeg'."
        in opened(tmp_path).index.remarks
    )


@pytest.mark.parametrize("unit", [1, 1000, 1_000_000])
def test_a_column_of_times_tells_pauses(tmp_path: Path, unit: int) -> None:
    times = np.concatenate([np.arange(1500), np.arange(1500) + 361500.0]) / 100
    rows = "\n".join(f"{t * unit:.0f}" if unit > 1 else f"{t:.2f}" for t in times)
    rows = "\n".join(f"{r},{x:.4f}" for r, x in zip(rows.split(), wave(10)(times), strict=True))
    (tmp_path / "a.csv").write_text(f"time,Cz\n{rows}\n")
    data = opened(tmp_path, rate=100)
    assert data.index.positions[:, 1].tolist() == [0, 5, 10, 3615, 3620, 3625]
    assert max(largest_error(data, i, wave(10)) for i in range(6)) < 2


@pytest.mark.parametrize(
    ("rate", "remark"), [(100, "advance by 0.004 a line"), (249, "there are 250 lines a second")]
)
def test_times_that_contradict_the_rate_are_named(tmp_path: Path, rate: float, remark: str) -> None:
    rows = "\n".join(f"{i / 250},{i % 7}" for i in range(2500))
    (tmp_path / "a.csv").write_text(f"time,Cz\n{rows}\n")
    assert remark in opened(tmp_path, rate=rate).index.remarks[0]


def test_the_suggested_rate_ignores_clocks_that_restart(tmp_path: Path) -> None:
    rows = "".join(f"{who},{i / 100},{i % 7}\n" for who in range(3) for i in range(200))
    (tmp_path / "all.csv").write_text(f"subject,time,Cz\n{rows}")
    with pytest.raises(UsageError, match="'time' suggests 100"):
        open_source(tmp_path / "all.csv")
    assert [span.group for span in open_source(tmp_path / "all.csv", 100).spans] == ["0", "1", "2"]
