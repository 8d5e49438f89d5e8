from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit_sar.images import SarConfig
from ssl_kit_sar.phoenix import Phoenix, encode
from ssl_kit_sar.targets import clutter


def speckle(height: int, width: int) -> np.ndarray:
    return clutter(np.random.default_rng(0), height, width, 1)


def chips(folder: Path, **options: Any) -> Phoenix:
    return Phoenix.open(folder, SarConfig(**options))


@pytest.mark.parametrize("native", [0, 512])
def test_reads_phoenix_chips(tmp_path: Path, native: int) -> None:
    z = speckle(20, 30)[..., 0]
    (tmp_path / "HB00001.015").write_bytes(encode(z, "t72_tank", 90, native))
    (tmp_path / "HB00002.016").write_bytes(encode(z, "bmp2_tank", 180, native))
    data = chips(tmp_path, values="amplitude")
    assert Phoenix.accepts(tmp_path)
    assert data.channels == ("hh_amplitude",)
    assert np.allclose(data.read(0)[..., 0], np.abs(z), rtol=1e-5)
    assert data.index.classes == ("bmp2_tank", "t72_tank")
    assert data.index.labels.tolist() == [1, 0]
    assert np.allclose(data.index.positions, [[0, 1], [-1, 0]], atol=1e-6)
    assert np.allclose(data.signal(0)[..., 0], z, atol=1e-5)


def test_labels_and_splits_of_chips_can_be_declared(tmp_path: Path) -> None:
    for name in ("train/a/1.015", "test/b/2.015"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(encode(speckle(16, 16)[..., 0], "t72_tank", 30))
    index = chips(tmp_path).index
    assert index.classes == ("t72_tank",)
    assert index.splits.tolist() == [3, 1]
    (tmp_path / "labels.csv").write_text("path,label\ntrain/a/1.015,one\ntest/b/2.015,two\n")
    assert chips(tmp_path).index.classes == ("one", "two")


def test_broken_chips_have_plain_reasons(tmp_path: Path) -> None:
    good = encode(speckle(20, 20)[..., 0], "t72_tank", 30)
    text = good[: good.index(b"[EndofPhoenixHeader]") + 20]
    contents = {
        "0.000": (good, ""),
        "1.000": (good[:-100], "is cut off"),
        "2.000": (b"", "the file is empty"),
        "3.000": (b"garbage" * 100, "has no Phoenix header"),
        "4.000": (good[:60], "has no end"),
        "5.000": (text.replace(b"NumberOfRows= 20", b"NumberOfRows= 999999999"), "no target chip"),
        "6.000": (text.replace(b"NumberOfRows= 20", b"NumberOfRows= many"), "no number"),
        "7.000": (text.replace(b"NumberOfRows= 20", b"NumberOfRows= nan"), "no target chip"),
    }
    for name, (content, _) in contents.items():
        (tmp_path / name).write_bytes(content)
    data = chips(tmp_path)
    for i, (_, reason) in enumerate(contents.values()):
        if reason:
            with pytest.raises(DataError, match=reason):
                data[i]
    assert data[0].image.shape == (20, 20, 1)


def test_a_chip_without_azimuth_has_no_direction(tmp_path: Path) -> None:
    chip = encode(speckle(16, 16)[..., 0], "t72_tank", 30).replace(b"TargetAz", b"TargetXy")
    (tmp_path / "1.000").write_bytes(chip)
    assert chips(tmp_path).index.positions.tolist() == [[0, 0]]


def test_a_folder_of_other_numbered_files_is_not_accepted(tmp_path: Path) -> None:
    (tmp_path / "notes.001").write_bytes(b"words")
    assert not Phoenix.accepts(tmp_path)
    with pytest.raises(DataError, match="None of the files"):
        chips(tmp_path)
