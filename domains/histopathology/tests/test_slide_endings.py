"""Slides of any ending, and which of their tiles are tissue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit_histopathology.slides import Slides, SlidesConfig

Write = Callable[..., Path]
Make = Callable[..., np.ndarray]


def opened(path: Path, labels: Path | None = None, **options: Any) -> Slides:
    return Slides.open(path, SlidesConfig(**options), labels)


@pytest.mark.parametrize("name", ["scan.qptiff", "scan.QPTIFF", "scan.btf", "scan", "scan.img"])
def test_a_slide_may_have_any_ending(write: Write, tissue: Make, name: str) -> None:
    folder = write(tissue(128, 192), f"in/{name}").parent
    for other in ("notes.txt", "Index.dat", "photo.png"):
        (folder / other).write_bytes(b"II*\0")
    assert Slides.accepts(folder)
    assert len(opened(folder, tile=64)) == 6


def test_a_file_of_an_unknown_ending_that_is_no_slide_is_left_out(
    write: Write, tissue: Make
) -> None:
    folder = write(tissue(128, 192), "in/a.qptiff").parent
    (folder / "b.other").write_bytes(b"II*\0 no slide")
    data = opened(folder, tile=64)
    assert len(data) == 6
    assert "Files of other endings are not read: 1 .other." in data.index.remarks


def test_files_that_belong_to_a_slide_are_not_called_left_out(write: Write, tissue: Make) -> None:
    folder = write(tissue(128, 192), "in/a.tif").parent
    (folder / "Data0000.dat").write_bytes(b"pixels of a .mrxs")
    assert opened(folder, tile=64).index.remarks == ()


def test_tiles_of_ink_are_left_out_and_counted(write: Write, tissue: Make, glass: Make) -> None:
    image = glass(256, 256)
    image[:128], image[192:] = tissue(128, 256), (30, 70, 200)
    path = write(image)
    data = opened(path, tile=64)
    assert data.index.positions[:, 0].tolist() == [0] * 4 + [1] * 4
    assert any("4 tiles of 1 slide have the color of" in remark for remark in data.index.remarks)
    assert len(opened(path, tile=64, pen="keep")) == 12


def test_the_threshold_of_tissue_is_an_option(write: Write) -> None:
    image = np.full((256, 256, 3), 245, np.uint8)
    image[:128] = (242, 240, 244)
    path = write(image)
    with pytest.raises(DataError, match=r"data\.options\.tissue_threshold"):
        opened(path, tile=64)
    assert len(opened(path, tile=64, tissue_threshold=1.5)) == 8
