"""Patients and slides in the names of patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from ssl_kit import Index
from ssl_kit_histopathology.names import group_by_names
from ssl_kit_histopathology.patches import Patches
from ssl_kit_histopathology.positions import read_names


def indexed(names: list[str], **declared: list[str]) -> Index:
    return Index.build(names, identities=[f"{name}:99" for name in names], **declared)


def grouped(names: list[str], **declared: list[str]) -> Index:
    return group_by_names(indexed(names, **declared), "patches", read_names(names).slides)


def groups(index: Index) -> int:
    return len(np.unique(index.groups))


@pytest.mark.parametrize(
    "form",
    [
        "TCGA-XX-000{slide}-01Z-00-DX1_{row}_{col}.png",
        "TCGA-XX-000{slide}-01Z-00-DX1/{row}_{col}.png",
        "blk-{row}{col}-TCGA-XX-000{slide}-01Z-00-DX1.png",
        "s{slide}_{row}_{col}.png",
        "s{slide}-{row}-{col}.png",
        "s{slide} ({row},{col}).png",
        "s{slide}_{row}_{col}_224.png",
        "tumor/s{slide}_x{row}024_y{col}048.png",
        "1025{slide}_idx5_x{row}001_y{col}051_class0.png",
        "s{slide}.svs [x={row}00,y={col}00,w=224,h=224].png",
        "s{slide} [d=2,x={row}00,y={col}00,w=448,h=448].tif",
        "1A{slide}_CRC-07.tif_Row_{row}01_Col_{col}51.tif",
        "s{slide}_r{row}c{col}.jpg",
        "s{slide}_tile_{row}{col}.png",
        "s{slide}_patch{row}{col}.png",
        "patient_{slide}_{row}{col}.png",
    ],
)
def test_patches_are_grouped_by_their_slide(form: str) -> None:
    places = [(slide, row, col) for slide in (1, 2) for row in range(4) for col in range(3)]
    names = sorted(form.format(slide=s, row=r, col=c) for s, r, c in places)
    index = grouped(names)
    assert groups(index) == 2
    assert any("groups" in remark and "labels.csv" in remark for remark in index.remarks)


def test_pixels_far_apart_are_positions() -> None:
    names = [f"s{slide}_{1024 * i}_{512 * (i + 3)}.png" for slide in (1, 2) for i in range(5)]
    assert groups(grouped(names)) == 2


@pytest.mark.parametrize(
    "names",
    [
        [f"IMG_{i:04}.png" for i in range(20)],
        [f"{i}.png" for i in range(20)],
        [f"IMG_20200{1 + i % 3}1{i % 9}_1{i:02}35{i:02}.jpg" for i in range(20)],
        [f"lungaca{i}.jpeg" for i in range(20)],
        [f"Normal_100x_{i}.jpg" for i in range(10)] + [f"OSCC_400x_{i}.jpg" for i in range(10)],
        [f"ADI-TCGA-AAC{chr(65 + i)}LPKA.tif" for i in range(20)],
        [f"scan_{2000 + i % 2}_{i:02}_{(7 * i) % 31:02}.png" for i in range(20)],
        [f"study_{i}/a.png" for i in range(20)],
        ["patch_1.png", "patch_2.png", "x_3.png"],
    ],
)
def test_ordinary_names_tell_no_slides(names: list[str]) -> None:
    assert groups(grouped(names)) == len(names)


def test_names_that_are_the_classes_tell_no_slides() -> None:
    names = [f"{name}_patch_{i}.png" for name in ("fat", "tumor") for i in range(6)]
    assert groups(grouped(names, labels=["fat"] * 6 + ["tumor"] * 6)) == 12
    assert groups(grouped(names)) == 2


@pytest.mark.parametrize(("slides", "number"), [(("S1", "S2"), 2), (("fat_1", "tumor_1"), 24)])
def test_two_slides_of_one_class_each_are_slides(slides: tuple[str, str], number: int) -> None:
    names = [f"{slide}_r{r}_c{c}.png" for slide in slides for r in range(4) for c in range(3)]
    index = indexed(names, labels=["fat"] * 12 + ["tumor"] * 12)
    read = read_names(names)
    index = group_by_names(index, "patches", read.slides, are_placed=read.places is not None)
    assert groups(index) == number


def test_declared_groups_stay() -> None:
    names = [f"s{slide}_{row}_{col}.png" for slide in "12" for row in "012" for col in "012"]
    declared = [name[-5] for name in names]
    index = grouped(names, groups=declared)
    assert groups(index) == 3
    assert index.remarks == ()


def test_declared_parts_stay_and_a_remark_warns() -> None:
    names = [f"s{slide}_{row}_{col}.png" for slide in "12" for row in "012" for col in "012"]
    index = grouped(names, splits=["train", "test"] * 9)
    assert groups(index) == 18
    assert any("test part and outside" in remark for remark in index.remarks)


def test_folders_of_patients_are_no_classes() -> None:
    names = [f"TCGA-XX-000{slide}/{i}.png" for slide in "12" for i in range(5)]
    index = grouped(names, labels=[name.split("/")[0] for name in names])
    assert (groups(index), index.classes) == (2, ())
    assert any("no classes" in remark for remark in index.remarks)


def test_patients_in_headers_are_groups_unless_all_are_the_same() -> None:
    index = indexed(["a.dcm", "b.dcm", "c.dcm", "TCGA-XX-0001-01.svs"])
    by_header = group_by_names(index, "slides", identifiers=["7", "7", "8", ""])
    assert by_header.groups[0] == by_header.groups[1]
    assert groups(by_header) == 3
    same = group_by_names(index, "slides", identifiers=["anon"] * 3 + [""])
    assert groups(same) == 4
    assert any("have the same patient in their header" in remark for remark in same.remarks)


def test_every_patch_alone_is_said() -> None:
    (remark,) = grouped([f"{i}.png" for i in range(20)]).remarks
    assert "Each of 20 patches is a group of its own. If" in remark


def test_a_folder_of_patches(tmp_path: Path) -> None:
    Patches.example(tmp_path)
    data = Patches.open(tmp_path, Patches.Config())
    assert len(data) == groups(data.index) == 6
    assert data.value_range.tolist() == data._images.value_range.tolist()


def test_the_exif_orientation_of_patches_is_known(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # Orientation: a quarter turn to the right
    PIL.Image.new("RGB", (8, 6)).save(tmp_path / "s_1_2.jpg", exif=exif)
    data = Patches.open(tmp_path, Patches.Config())
    assert (data.read(0).shape[:2], data.orientation(0)) == ((8, 6), 6)
