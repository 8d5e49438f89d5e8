"""Recordings that were copied, split, or written in another unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest

from ssl_kit import DataError, UsageError
from ssl_kit_eeg.recordings import RecordingConfig, Recordings

RNG = np.random.default_rng(0)
CHANNELS = [(name, 128, lambda t: RNG.normal(0, 20, t.shape)) for name in ("Cz", "Pz")]


def opened(path: Path, **options: Any) -> Recordings:
    return Recordings.open(path, RecordingConfig(**{"image": "signal", **options}), None)


@pytest.mark.parametrize("name", ["a.edf", "a.bdf"])
@pytest.mark.parametrize("how", ["to_dos", "to_unicode", "to_unix"])
def test_a_file_that_was_copied_as_text_says_so(write_records, name: str, how: str) -> None:
    path = write_records(CHANNELS, range(1500 if how == "to_unix" else 60), name)
    content = path.read_bytes()
    if how == "to_dos":
        content = content.replace(b"\n", b"\r\n")
    elif how == "to_unix":
        content = content.replace(b"\r\n", b"\n")
    else:
        content = content.decode("utf-8", "replace").encode()
    path.write_bytes(content)
    reason = r"where its header declares .* copied as text"
    if name == "a.bdf" and how == "to_unicode":
        reason = "no EDF or BDF header"  # its first byte has changed
    with pytest.raises(DataError, match=reason):
        opened(path)


def test_more_samples_than_declared_are_read_and_said(write_records) -> None:
    path = write_records(CHANNELS, range(20))
    whole = opened(path)
    path.write_bytes(path.read_bytes() + bytes(100))
    data = opened(path)
    assert np.array_equal(data.read(1), whole.read(1))
    assert any("more samples than the header declares" in line for line in data.index.remarks)


def test_times_suggest_the_rate(tmp_path: Path) -> None:
    lines = [f"{1600000000 + i / 256:.4f},{i % 7}\n" for i in range(900)]
    (tmp_path / "a.csv").write_text("timestamps,TP9\n" + "".join(lines))
    with pytest.raises(UsageError, match=r"rate=HZ \(its column 'timestamps' suggests 256\)"):
        opened(tmp_path)


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    values = RNG.normal(0, 20, (900, 2))
    for name, comma in (("a", "."), ("b", ",")):
        rows = (";".join(f"{v:.3f}" for v in row).replace(".", comma) for row in values)
        (tmp_path / f"{name}.csv").write_text("Cz;Pz\n" + "\n".join(rows))
    data = opened(tmp_path, rate=128)
    assert np.array_equal(data.read(0), data.read(1))


def test_another_unit_is_suspected_and_can_be_set(write_fif) -> None:
    path = write_fif(RNG.normal(0, 2e-5, (2, 128 * 20)))
    data = opened(path)
    assert any("data.options.factor, 1e6 if they are volts" in line for line in data.index.remarks)
    scaled = opened(path, factor=1e6)
    assert "data.options.factor" not in " ".join(scaled.index.remarks)
    np.testing.assert_allclose(scaled.read(0), data.read(0) * 1e6, rtol=1e-4)


def test_the_continuation_of_a_long_fif_is_no_recording_of_its_own(tmp_path: Path) -> None:
    info = mne.create_info(["Cz", "Pz"], 128.0, "eeg")
    raw = mne.io.RawArray(RNG.normal(0, 2e-5, (2, 128 * 2600)), info, verbose="ERROR")
    raw.save(tmp_path / "a_raw.fif", split_size="2MB", verbose="ERROR")
    assert len(list(tmp_path.iterdir())) > 1
    assert len(opened(tmp_path)) == 520
