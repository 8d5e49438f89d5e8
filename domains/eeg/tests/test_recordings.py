from __future__ import annotations

import pickle
import shutil
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
from scipy.io import savemat

from ssl_kit import DataError, UsageError
from ssl_kit.data.in_time import is_later
from ssl_kit_eeg.electrodes import canonical
from ssl_kit_eeg.notes import labels_of
from ssl_kit_eeg.recordings import RecordingConfig, Recordings
from ssl_kit_eeg.source_base import Note
from ssl_kit_eeg.sources import open_source


def opened(path: Path, **options: Any) -> Recordings:
    labels = options.pop("labels", None)
    return Recordings.open(path, RecordingConfig(**{"image": "signal", **options}), labels)


def sine(hertz: float, rate: float, seconds: float, channels: int = 1) -> np.ndarray:
    x = 50 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)
    return np.tile(x, (channels, 1))


@pytest.mark.parametrize(
    ("name", "channels", "windows"),
    [
        ("chtypes_edf.edf", 31, 2),
        ("subsecond_starttime.edf", 3, 2),
        ("test_1ch.gdf", 1, 15),
        ("test_bdf_stim_channel.bdf", 3, 5),
        ("test_generator_2.edf", 9, 300),
        ("test_raw.set", 32, 119),
        ("test_reduced.edf", 135, 3),
        ("test_utf8_annotations.edf", 9, 5),
    ],
)
def test_reads_the_real_formats(real_data: Path, name: str, channels: int, windows: int) -> None:
    data = opened(real_data / "eeg_formats" / name, window=2)
    assert (len(data), len(data.channels)) == (windows, channels)
    image = data[windows - 1].image
    assert image.shape == (1, 256, channels)
    assert image.dtype == np.float32


def test_reads_brain_vision(real_data: Path) -> None:
    data = opened(real_data / "eeg_formats" / "test_NO.vhdr", window=0.4)
    assert data.read(0).shape == (1, 51, 63)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Analyzer_nV_Export.vhdr", "needs 'Analyzer_nV_Export.eeg'"),
        ("SC4001EC-Hypnogram.edf", "no signal"),
    ],
)
def test_says_what_a_real_file_lacks(real_data: Path, name: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        opened(real_data / "eeg_formats" / name)


def test_reads_the_bonn_recordings(real_data: Path) -> None:
    data = opened(real_data / "bonn_eeg", rate=173.61)
    assert len(data) == 2000
    assert len(data.index.classes) == 5
    assert np.bincount(data.index.groups).tolist() == [4] * 500
    assert np.unique(data.index.positions[:, 1]).tolist() == [0, 5, 10, 15]


def test_samples_are_those_of_the_file(write_edf) -> None:
    x = np.random.default_rng(0).integers(-100, 100, (2, 1000))
    source = open_source(write_edf(x))
    assert (source.rate, source.samples, source.names) == (100, 1000, ("Fp1", "Cz"))
    np.testing.assert_allclose(source.read(150, 420, ["Cz", "Fp1"]), x[::-1, 150:420], atol=1e-3)


def test_a_frequency_stays_where_it_is_at_any_rate(write_fif) -> None:
    data = opened(write_fif(sine(10, 250, 20), 250), resample=96, window=4)
    x = data.read(2)[0, :, 0]
    assert x.shape == (384,)
    assert np.abs(np.fft.rfft(x * np.hanning(384))).argmax() == 10 * 4
    expected = 50 * np.sin(2 * np.pi * 10 * (8 + np.arange(384) / 96))
    np.testing.assert_allclose(x[20:-20], expected[20:-20], atol=1.5)


def test_what_is_outside_of_the_band_is_gone(write_fif) -> None:
    x = sine(10, 256, 20) + sine(60, 256, 20) + 1000
    seen = opened(write_fif(x, 256), resample=128).read(1)[0, :, 0]
    assert np.sqrt(2) * seen.std() == pytest.approx(50, rel=0.03)
    assert abs(seen.mean()) < 1


def test_a_slow_recording_is_refused_for_its_band(write_fif) -> None:
    with pytest.raises(DataError, match=r"too few for data\.options\.band"):
        opened(write_fif(sine(0.1, 4, 60), 4), band=[5, 45])[0]


def test_windows_lie_side_by_side_or_as_asked(write_fif) -> None:
    path = write_fif(sine(10, 128, 20))
    assert opened(path).index.positions[:, 1].tolist() == [0, 5, 10, 15]
    assert opened(path, window=8, stride=4).index.positions[:, 1].tolist() == [0, 4, 8, 12]
    assert opened(path).index.key(1) == "a_raw.fif#5"


def test_a_short_recording_is_unreadable_and_the_others_stay(write_fif, tmp_path: Path) -> None:
    write_fif(sine(10, 128, 20), name="a_raw.fif")
    write_fif(sine(10, 128, 2), name="b_raw.fif")
    data = opened(tmp_path)
    assert len(data) == 5
    with pytest.raises(DataError, match="lasts 2 s"):
        data[4]


NOTES = [(0, 8, "wake"), (8, 9, "sleep"), (17, 3, "BAD_artefact")]


def test_annotations_are_labels_where_they_cover_half(write_fif) -> None:
    data = opened(write_fif(sine(10, 128, 20), notes=NOTES), annotations=True)
    labels = [data.index.classes[k] if k >= 0 else "" for k in data.index.labels]
    assert labels == ["wake", "wake", "sleep"]


def test_a_hypnogram_labels_the_recording_of_its_name(real_data, write_edf, tmp_path) -> None:
    shutil.copy(real_data / "eeg_formats" / "SC4001EC-Hypnogram.edf", tmp_path)
    hypnogram = open_source(tmp_path / "SC4001EC-Hypnogram.edf")
    began = datetime.fromtimestamp(hypnogram.began + 30000, UTC).strftime("%d.%m.%y%H.%M.%S")
    x = np.random.default_rng(0).integers(-50, 50, (1, 20 * 900))
    write_edf(x, 20, "SC4001E0-PSG.edf", began=began)
    write_edf(x, 20, "other.edf", began=began)
    data = opened(tmp_path, window=30, annotations=True, band=[0.5, 9])
    assert len(data) == 60
    for i, key in enumerate(data.index.keys.tolist()):
        place = 30000 + float(key.partition(b"#")[2])
        expected = label_of(place, 30, hypnogram.notes) if key.startswith(b"SC") else ""
        assert (data.index.classes[data.index.labels[i]] if expected else "") == expected
    assert {"Sleep stage W", "Sleep stage 1"} <= set(data.index.classes)


def test_what_is_annotated_as_bad_is_left_out(write_fif) -> None:
    data = opened(write_fif(sine(10, 128, 20), notes=NOTES))
    assert data.index.positions[:, 1].tolist() == [0, 5, 10]
    assert data.index.classes == ()


def test_the_average_reference_leaves_out_bad_channels(write_fif) -> None:
    x = np.random.default_rng(0).normal(0, 20, (6, 128 * 10))
    x[1] *= 1000
    x[2] = 7
    data = opened(write_fif(x, bads=["Oz"]), reference="average")
    seen = data.read(0)[0]
    assert np.flatnonzero(~seen.any(axis=0)).tolist() == [1, 2, 3]
    np.testing.assert_allclose(seen.sum(axis=1), 0, atol=1e-3)
    kept = opened(write_fif(x, bads=["Oz"]), bad_channels="keep").read(0)[0]
    assert (kept.std(axis=0) > 0).tolist() == [True, True, False, True, True, True]


def test_the_group_is_declared_a_bids_subject_a_folder_or_the_file(write_fif, tmp_path) -> None:
    for name in ("s1/a_raw.fif", "s1/b_raw.fif", "s2/a_raw.fif", "sub-07_raw.fif"):
        write_fif(sine(10, 128, 6), name=name)
    files = opened(tmp_path)
    assert len(files.index.group_names) == 4
    assert b"sub-07" in files.index.group_names.tolist()
    folders = opened(tmp_path, group="folder")
    assert folders.index.group_names.tolist() == [b"s1", b"s2", b"sub-07"]
    assert folders.index.classes == ()
    table = tmp_path / "labels.csv"
    table.write_text("path,label,group\ns1/a_raw.fif,ill,p\ns2/a_raw.fif,well,p\n")
    declared = opened(tmp_path)
    assert b"p" in declared.index.group_names.tolist()
    assert declared.index.classes == ("ill", "well")


def test_channels_are_those_that_recordings_share(write_edf, tmp_path: Path) -> None:
    for i in range(12):
        names = ["EEG FP1-REF", "Oz"] if i < 11 else ["Cz", "Oz"]
        write_edf(
            np.random.default_rng(i).integers(-50, 50, (2, 600)), name=f"{i}.edf", names=names
        )
    data = opened(tmp_path)
    assert data.channels == ("Fp1_uv", "Oz_uv")
    lacking = [i for i in range(12) if data.index.key(i).startswith("11.edf")]
    with pytest.raises(DataError, match="no channel Fp1"):
        data[lacking[0]]
    assert opened(tmp_path, channels=["fp1"]).channels == ("Fp1_uv",)
    with pytest.raises(UsageError, match=r"Unknown channel 'Ozz'. Did you mean 'Oz'\?"):
        opened(tmp_path, channels=["Ozz"])
    assert data.options_for(("Oz_uv",)) == {"channels": ["Oz"]}
    assert data.options_for(("Cz_uv",)) == {}


def test_electrodes_are_spelled_as_in_the_10_05_system() -> None:
    names = ["EEG FP1-REF", "fpz", "Fc5.", "EEG T3-LE", "ECG", "FP1"]
    assert canonical(names) == ["Fp1", "Fpz", "FC5", "T7", "ECG", "Fp1-1"]


@pytest.mark.parametrize("mark", [",", ";", "\t", " "])
def test_text_of_any_delimiter_with_names_or_without(tmp_path: Path, mark: str) -> None:
    x = np.random.default_rng(0).normal(0, 20, (2000, 2)).round(3)
    rows = [mark.join(map(str, row)) for row in x]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n\n")
    (tmp_path / "b.csv").write_text("\r\n".join([mark.join(["Cz", "PZ"]), *rows]))
    plain, named = open_source(tmp_path / "a.csv", 100), open_source(tmp_path / "b.csv", 100)
    assert (plain.samples, named.samples) == (2000, 2000)
    assert (plain.names, named.names) == (("eeg1", "eeg2"), ("Cz", "Pz"))
    for start in (0, 1000, 1020, 1023, 1024, 1990):
        part = x[start : start + 10].T
        np.testing.assert_allclose(plain.read(start, start + 10, plain.names), part, rtol=1e-5)
        np.testing.assert_allclose(named.read(start, start + 10, named.names), part, rtol=1e-5)


def test_a_column_of_times_is_no_channel(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,Cz\n" + "".join(f"{i},{i % 7}\n" for i in range(900)))
    assert opened(tmp_path, rate=100).channels == ("Cz_uv",)


def test_text_needs_a_rate(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1\n2\n3\n")
    with pytest.raises(UsageError, match=r"data\.options\.rate"):
        opened(tmp_path)


def test_tables_beside_recordings_are_no_recordings(write_fif, tmp_path: Path) -> None:
    write_fif(sine(10, 128, 6))
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-1\t33\n")
    assert Recordings.accepts(tmp_path)
    assert len(opened(tmp_path)) == 1


def test_a_spawned_process_opens_files_itself(write_fif) -> None:
    data = opened(write_fif(sine(10, 128, 20, 2)))
    again = pickle.loads(pickle.dumps(data))
    assert np.array_equal(again.read(2), data.read(2))
    assert len(pickle.dumps(data)) < 10000


def test_memory_does_not_grow_with_the_recording(tmp_path: Path, edf_header) -> None:
    rate, records = 256, 30000  # 8 hours, 150 MB
    names = [f"c{i}" for i in range(10)]
    with (tmp_path / "long.edf").open("wb") as file:
        file.write(edf_header(names, rate, records))
        file.truncate(256 * 11 + records * rate * 10 * 2)
        file.seek(256 * 11 + 20000 * rate * 10 * 2)
        file.write(np.random.default_rng(0).integers(-50, 50, 100000, np.int16).tobytes())
    tracemalloc.start()
    data = opened(tmp_path)
    assert data.read(4000).std() > 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(data) == 6000
    assert peak < 25e6


def test_memory_does_not_grow_with_a_text(tmp_path: Path) -> None:
    with (tmp_path / "long.txt").open("w") as file:
        file.write("-12.5\n7\n" * 2_000_000)
    tracemalloc.start()
    data = opened(tmp_path, rate=250)
    assert data.read(3000).std() > 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.edf", b"", "empty"),
        ("a.edf", b"no EDF" * 99, "no EDF or BDF header"),
        ("a.bdf", b"\xffBIOSEMI" + b"9" * 400, "header"),
        ("a.gdf", b"GDF 2.10" + b"\xff" * 600, "cannot be opened"),
        ("a.vhdr", b"Brain Vision nonsense", "cannot be opened"),
        ("a.set", b"MATLAB 5.0" + b"\0" * 300, "cannot be opened"),
        ("a_raw.fif", b"\0" * 300, "cannot be opened"),
        ("a.txt", b"\0" * 300, "no text"),
        ("a.txt", b"words and words\n" * 99, "not numbers"),
        ("a.txt", b"only a title\n", "no numbers"),
        ("a.csv", b"1," * 5000, "columns"),
        ("a.csv", b"7" * 2**21, "longer than"),
        ("a.csv", b"Cz,Pz\n1,2,3\n4,5,6\n", "2 names for 3 columns"),
    ],
)
def test_hostile_files_are_refused_with_the_reason(
    tmp_path: Path, name: str, content: bytes, reason: str, capfd: Any
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        opened(tmp_path, rate=100)
    assert name in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("records", [50, 99999999])
def test_a_header_that_promises_too_much_is_refused(tmp_path: Path, edf_header, records) -> None:
    (tmp_path / "a.edf").write_bytes(edf_header(["Cz"], 100, records) + bytes(2000))
    with pytest.raises(DataError, match="cut off"):
        opened(tmp_path)


def test_what_is_damaged_inside_fails_when_it_is_read(tmp_path: Path) -> None:
    lines = ["5"] * 3000
    lines[2500] = "five"
    (tmp_path / "a.txt").write_text("\n".join(lines))
    data = opened(tmp_path, rate=100)
    data[0]
    with pytest.raises(DataError, match="not numbers"):
        data[5]


def test_a_recording_that_becomes_shorter_is_damaged(write_edf) -> None:
    path = write_edf(np.random.default_rng(0).integers(-50, 50, (2, 6000)))
    data = opened(path)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DataError, match="cut off"):
        data[11]


def test_a_large_set_that_holds_its_data_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.set").open("wb") as file:
        file.truncate(2**29)
    with pytest.raises(DataError, match=r"as a \.fdt"):
        opened(tmp_path)


def test_no_message_or_run_names_a_patient(
    write_edf, tmp_path: Path, capfd: Any, caplog: Any
) -> None:
    caplog.set_level("DEBUG")
    x = np.random.default_rng(0).integers(-50, 50, (2, 6000))
    path = write_edf(x, names=["Fp1", "Cz"])
    data = opened(path)
    sample = data[3]
    text = f"{data.index} {sample.key} {sample.group} {data.channels}"
    whole = path.read_bytes()
    for at in (8, 168, 184, 236, 244, 252, 256 + 32):  # put nonsense into each field of the header
        path.write_bytes(whole[:at] + b"SECRET^X" + whole[at + 8 :])
        try:
            opened(path)[0]
        except DataError as error:
            text += f"{error} {error.__cause__}"
    seen = capfd.readouterr()
    assert "SECRET" not in text + caplog.text + seen.out + seen.err


def test_mne_is_silent(write_fif, capfd: Any) -> None:
    mne.set_log_level("INFO")
    try:
        opened(write_fif(sine(10, 128, 20, 4)), image="topography", annotations=True)[0]
    finally:
        mne.set_log_level("WARNING")
    assert capfd.readouterr() == ("", "")


def test_a_text_with_subjects_and_labels_is_several_recordings(tmp_path: Path) -> None:
    rows = [("1", "open")] * 600 + [("1", "closed")] * 600 + [("2", "open")] * 600
    lines = [f"{who},{label},{i % 7 - 3}" for i, (who, label) in enumerate(rows)]
    (tmp_path / "all.csv").write_text("\n".join(["Subject,label,Cz", *lines]))
    data = opened(tmp_path, rate=100)
    assert data.channels == ("Cz_uv",)
    assert [data.index.label(i) for i in range(3)] == ["open", "closed", "open"]
    assert [data.index.group(i) for i in range(3)] == ["1", "1", "2"]
    assert data.index.positions.tolist() == [[0, 0], [1, 6], [2, 12]]
    alone = tmp_path / "one" / "a.csv"
    alone.parent.mkdir()
    alone.write_text("\n".join(["Cz", *(line.rpartition(",")[2] for line in lines[600:1200])]))
    inner = slice(200, 400)  # the ends are filtered in another way
    expected = opened(alone, rate=100).read(0)[0, inner]
    np.testing.assert_allclose(data.read(1)[0, inner], expected, atol=0.1)


def remarks_of(path: Path, **options: Any) -> str:
    return " ".join(opened(path, **options).index.remarks)


def test_a_remark_says_where_labels_come_from(write_fif, tmp_path: Path) -> None:
    write_fif(sine(10, 128, 20), notes=[(0, 8, "wake"), (8, 9, "sleep")])
    offer = "1 file has annotations; --set data.options.annotations=true makes them labels."
    assert offer in remarks_of(tmp_path)
    (tmp_path / "labels.csv").write_text("path,label\na_raw.fif,0.5\n")
    assert offer not in remarks_of(tmp_path)
    data = opened(tmp_path, annotations=True)
    assert (data.index.classes, data.index.targets) == (("sleep", "wake"), None)
    remarks = " ".join(data.index.remarks)
    assert "Labels are those of data.options.annotations=true; column label of" in remarks


def test_recordings_without_a_common_channel_are_listed(write_edf, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(-50, 50, (2, 600))
    write_edf(x, name="a.edf", names=["Cz", "Pz"])
    write_edf(x, name="b.edf", names=["O1", "O2"])
    with pytest.raises(DataError, match=r"'a.edf' has Cz, Pz; 'b.edf' has O1, O2\. Give"):
        opened(tmp_path)


def test_remarks_tell_the_length_and_options_without_effect(write_fif) -> None:
    remarks = remarks_of(write_fif(sine(10, 128, 90)), rate=100, resample=64)
    assert "Windows of 5 s at 64 Hz, 90 seconds in all." in remarks
    assert "data.options.band ends at 45 Hz, but it is cut to 32 Hz" in remarks
    assert "data.options.rate is ignored for 1 of 1 recordings" in remarks


def in_time(data: Recordings) -> list[str]:
    """Returns the recordings, or parts of files, in the order of their positions."""
    order = np.lexsort(data.index.positions.T[::-1])
    return list(dict.fromkeys(data.index.key(i).partition("#")[0] for i in order.tolist()))


def test_runs_without_a_clock_are_in_the_natural_order_of_their_names(write_edf, tmp_path) -> None:
    names = [f"sub-01_run-{run}.edf" for run in range(1, 13)]
    for name in names:
        write_edf(sine(10, 100, 6), name=name)
    data = opened(tmp_path)
    assert in_time(data) == names
    assert any(
        "The recordings of 1 group are in the order of their names" in each
        for each in data.index.remarks
    )


def test_recordings_of_a_subject_follow_the_clock(write_edf, tmp_path: Path) -> None:
    for name, began in (
        ("Final", "03.02.20"),
        ("Midterm 2", "02.02.20"),
        ("Midterm 10", "01.02.20"),
    ):
        write_edf(sine(10, 100, 12), name=f"sub-1/{name}.edf", began=f"{began}10.00.00")
    (tmp_path / "sub-1" / "Start.edf").write_bytes(b"damaged")
    data = opened(tmp_path)
    assert in_time(data)[:3] == [f"sub-1/{n}.edf" for n in ("Midterm 10", "Midterm 2", "Final")]
    remark = "The recordings of 1 group are in the order of their start times."
    assert remark in data.index.remarks
    earlier = {0: (0.0, 0.0)}  # what data.until kept when recordings were numbered by file
    assert not is_later(data.index, np.arange(6), earlier).any()


def test_parts_of_one_text_file_stay_together(tmp_path: Path) -> None:
    rows = [f"1,{label},{i % 7 - 3}" for label in ("a", "b", "c") for i in range(600)]
    for name in ("A.csv", "B.csv"):
        (tmp_path / name).write_text("\n".join(["subject,label,Cz", *rows]))
    data = opened(tmp_path, rate=100)
    order = np.lexsort(data.index.positions.T[::-1]).tolist()
    assert [data.index.key(i)[:1] + data.index.label(i) for i in order] == [
        "Aa", "Ab", "Ac", "Ba", "Bb", "Bc",
    ]  # fmt: skip


def test_one_file_without_a_rate_does_not_stop_the_others(write_edf, tmp_path: Path) -> None:
    write_edf(sine(10, 100, 6))
    savemat(tmp_path / "montage.mat", {"pos": np.ones((64, 3))})
    data = opened(tmp_path)
    assert len(data) == 2
    with pytest.raises(DataError, match=r"no number called fs or srate.*pos 64x3"):
        data[1]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_text_with_decimal_commas_and_no_header_keeps_its_first_sample(
    tmp_path: Path, mark: str
) -> None:
    (tmp_path / "a.csv").write_text(f"1,5{mark}2,3\n4,0{mark}5,1\n6{mark}7\n")
    source = open_source(tmp_path / "a.csv", 100)
    assert (source.names, source.samples) == (("eeg1", "eeg2"), 3)
    assert source.read(0, 1, source.names).ravel().tolist() == pytest.approx([1.5, 2.3])


def label_of(start: float, window: float, notes: Sequence[Note]) -> str:
    """Returns the annotation that covers most of a window, "" if it covers less than half."""
    shares = [
        (min(note.stop, start + window) - max(note.start, start), note.text)
        for note in notes
        if not note.text.startswith("bad")
    ]
    most, text = max(shares, default=(0.0, ""))
    return text if most >= window / 2 else ""


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_those_of_the_note_that_covers_most(seed: int) -> None:
    rng = np.random.default_rng(seed)
    notes = [
        Note(start, start + rng.choice([0, 0.5, 1, 3, 30]), rng.choice(["a", "b", "c", "bad"]))
        for start in rng.uniform(0, 100, 200).round(1).tolist()
    ]
    starts = rng.permutation(np.arange(0, 100, 0.7))
    slow = [label_of(start, 2, notes) for start in starts.tolist()]
    assert labels_of(starts, 2, notes) == slow
    assert len(set(slow)) > 1


def test_memory_does_not_grow_with_the_number_of_files_read_as_a_whole(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(0, 20, (4, 50_000)).astype(np.float32)
    for i in range(8):
        savemat(tmp_path / f"{i}.mat", {"data": x, "fs": 1000.0})
    opened(tmp_path)  # imports what is needed, whose memory does not count
    tracemalloc.start()
    opened(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * x.nbytes


def test_a_part_cut_from_a_fif_starts_when_it_was_recorded(tmp_path: Path) -> None:
    raw = mne.io.RawArray(np.zeros((1, 1280)), mne.create_info(["Cz"], 128.0, "eeg"), verbose=False)
    raw.set_meas_date(1000).crop(5).save(tmp_path / "a_raw.fif", verbose=False)
    assert open_source(tmp_path / "a_raw.fif").began == 1005
