"""Labels and groups of whole slides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_kit import UsageError
from ssl_kit_histopathology.slides import Slides, SlidesConfig

Write = Callable[..., Path]
Make = Callable[..., np.ndarray]


def opened(path: Path, labels: Path | None = None, **options: Any) -> Slides:
    return Slides.open(path, SlidesConfig(**options), labels)


@pytest.fixture
def two_slides(write: Write, tissue: Make) -> Path:
    for name in ("a.tif", "b.tif"):
        folder = write(tissue(128, 192), f"in/{name}").parent
    return folder


def labels_of(data: Slides) -> list[str]:
    return [data[i].label for i in range(len(data))]


def test_labels_and_groups_are_those_of_the_slide(tmp_path: Path, two_slides: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path,label,group,split\na.tif,good,p1,train\nb.tif,bad,p2,test\n")
    data = opened(two_slides, table, tile=64)
    assert labels_of(data) == ["good"] * 6 + ["bad"] * 6
    assert data[0].group == "p1"
    assert data.index.splits.tolist() == [1] * 6 + [3] * 6


def test_a_slide_is_a_group_by_default(two_slides: Path) -> None:
    assert opened(two_slides, tile=64).index.groups.tolist() == [0] * 6 + [1] * 6


def test_rows_with_a_place_label_one_tile(tmp_path: Path, two_slides: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(
        "path,x,y,label,group\na.tif,64,0,tumor,p\na.tif,0,100,fat,p\nb.tif,,,none,q\n"
    )
    data = opened(two_slides, table, tile=64)
    assert labels_of(data) == ["", "tumor", "", "fat", "", ""] + ["none"] * 6
    assert data.index.classes == ("fat", "none", "tumor")
    assert data[0].group == "p"


def test_places_that_are_off_all_tiles_are_an_error(tmp_path: Path, two_slides: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path,x,y,label\na.tif,5000,5000,tumor\n")
    with pytest.raises(UsageError, match="No tile is at any of 1 place in"):
        opened(two_slides, table, tile=64)


def test_a_place_is_a_number(tmp_path: Path, two_slides: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path,x,y,label\na.tif,left,7,tumor\n")
    with pytest.raises(UsageError, match="line 2: x and y are pixels"):
        opened(two_slides, table, tile=64)


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("Path;X;Y;Label", ["./a.tif;64;0;tumor", "b.tif;;;fat"]),
        ("file, x, y, class", ["a, 64, 0, tumor", "b, , , fat"]),
    ],
)
def test_tables_of_places_are_read_as_people_write_them(
    tmp_path: Path, two_slides: Path, header: str, rows: list[str]
) -> None:
    table = tmp_path / "places.csv"
    table.write_text("\n".join([header, *rows]) + "\n")
    data = opened(two_slides, table, tile=64)
    assert labels_of(data) == ["", "tumor", "", "", "", ""] + ["fat"] * 6


def groups(data: Slides) -> int:
    return len(np.unique(data.index.groups))


@pytest.mark.parametrize(
    "names",
    [
        "TCGA-XX-0001-01Z-00-DX1 TCGA-XX-0001-01Z-00-DX2 TCGA-XX-0002-01Z-00-DX1",
        "tcga-xx-0001-01z-00-dx1.0a1b TCGA-XX-0001-01A-01-BS1 TCGA-XX-0002-01Z-00-DX1",
        "C3L-00001-21 C3L-00001-22 C3N-00001-21",
        "GTEX-1117F-0126 GTEX-1117F-0226 GTEX-1122O-0126",
        "patient_004_node_1 patient_004_node_4 patient_009_node_1",
    ],
)
def test_slides_of_a_patient_are_one_group(write: Write, tissue: Make, names: str) -> None:
    for name in names.split():
        folder = write(tissue(128, 128), f"in/{name}.tif").parent
    data = opened(folder, tile=64)
    assert groups(data) == 2
    assert any("the patients are groups, 2 in all" in remark for remark in data.index.remarks)
    assert not any("0001" in remark or "004" in remark for remark in data.index.remarks)


def test_declared_groups_come_before_barcodes(write: Write, tissue: Make) -> None:
    for number in (1, 2):
        folder = write(tissue(128, 128), f"in/TCGA-XX-0001-01Z-00-DX{number}.tif").parent
    names = [f"TCGA-XX-0001-01Z-00-DX{number}.tif,p{number}" for number in (1, 2)]
    (folder / "labels.csv").write_text("\n".join(["path,group", *names]))
    assert groups(opened(folder, tile=64)) == 2


def test_numbered_slides_are_groups_and_a_remark_asks(write: Write, tissue: Make) -> None:
    for name in ("PATIENT_1", "PATIENT_2"):
        folder = write(tissue(128, 128), f"in/{name}.tif").parent
    data = opened(folder, tile=64)
    assert groups(data) == 2
    assert "Each of 2 slides is a group of its own" in data.index.remarks[0]


def test_last_numbers_tell_no_patient_but_a_remark_asks(write: Write, tissue: Make) -> None:
    for name in ("B07_1", "B07_2", "B11_1", "B11_2"):
        folder = write(tissue(128, 128), f"in/{name}.tif").parent
    data = opened(folder, tile=64)
    assert groups(data) == 4
    (remark,) = data.index.remarks
    assert "Each of 4 slides is a group of its own, although 4 names differ only in" in remark
