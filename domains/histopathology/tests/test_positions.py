"""Rows and columns in the names of patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_kit import Index
from ssl_kit.data import grid_neighbors
from ssl_kit_histopathology.names import group_by_names
from ssl_kit_histopathology.pairings import neighbors
from ssl_kit_histopathology.patches import Patches
from ssl_kit_histopathology.positions import place_patches, read_names


def placed(names: list[str], rows_first: bool = True, **declared: list[str]) -> Index:
    index = Index.build(names, identities=[f"{name}:99" for name in names], **declared)
    read = read_names(names, rows_first)
    return place_patches(group_by_names(index, "patches", read.slides), read)


def grid(form: str, slides: str = "12") -> tuple[list[str], list[tuple[str, int, int]]]:
    places = [(slide, row, col) for slide in slides for row in range(4) for col in range(3)]
    names = [form.format(s=s, r=r, c=c, x=224 * c + 50, y=224 * r + 7) for s, r, c in places]
    return names, places


@pytest.mark.parametrize(
    "form",
    [
        "s{s}_r{r}_c{c}.png",
        "s{s}_r{r}c{c}.png",
        "s{s}_row{r}_col{c}.png",
        "s{s}-Row_{r}-Column_{c}.tif",
        "s{s}_c{c}_r{r}.png",
        "s{s}_x{x}_y{y}.png",
        "s{s}_y{y}_x{x}_class0.png",
        "s{s}_x={x}_y={y}.png",
        "s{s} (x{x}, y{y}).png",
        "s{s}_x{c}_y{r}.png",
        "s{s} [d=2,x={x},y={y},w=448,h=448].png",
        "s{s}_left{x}_top{y}.png",
        "s{s}/r{r}_c{c}.png",
        "s{s}/x{x}_y{y}.png",
        "s{s}_{r}_{c}.png",
        "s{s}_{r}_{c}_224.png",
        "s{s}_{y}_{x}.png",
        "s{s}/{r}_{c}.png",
        "TCGA-AA-000{s}-01Z-00-DX1_{r}_{c}.png",
    ],
)
def test_rows_and_columns_in_names_are_positions(form: str) -> None:
    names, places = grid(form)
    index = placed(names)
    first = np.array([place[1:] for place in places[:12]])
    for slide in (slice(12), slice(12, 24)):
        inside = index.positions[slide]
        assert (inside - inside.min(axis=0) == first).all()
    assert grid_neighbors(index.positions).shape[1] == 2 * 2 * 29  # slides do not touch


def test_order_of_two_numbers_is_said_and_can_be_changed() -> None:
    names, places = grid("s{s}_{c}_{r}.png")
    remark = next(r for r in placed(names).remarks if "numbers=x_y" in r)
    assert remark.startswith("Two numbers in the names of 24 patches are taken for row and column")
    positions = placed(names, rows_first=False).positions[:12]
    assert (positions == [place[1:] for place in places[:12]]).all()


@pytest.mark.parametrize(
    "names",
    [
        [f"IMG_{i:04}.png" for i in range(20)],
        [f"IMG_20200{1 + i % 3}1{i % 9}_1{i:02}35{i:02}.jpg" for i in range(20)],
        [f"scan_{2000 + i % 2}_{i:02}_{(7 * i) % 31:02}.png" for i in range(20)],
        [f"s{i % 2}_tile_{i}.png" for i in range(20)],
        [f"c{i % 2}_r{i % 3}_{i}.png" for i in range(20)],  # 20 images at six places
    ],
)
def test_other_names_have_no_positions(names: list[str]) -> None:
    assert placed(names).positions.shape[1] == 0


def test_neighbors_are_found_by_name_within_a_slide() -> None:
    pairing = neighbors(placed(grid("s{s}_r{r}_c{c}.png")[0]))
    assert (pairing.stops - pairing.starts).sum() == 2 * 2 * 29
    partners = pairing.members[pairing.starts[0] : pairing.stops[0]]
    assert partners.tolist() == [1, 3, 4]


def test_patches_of_one_slide_have_neighbors() -> None:
    assert neighbors(placed(grid("s{s}_r{r}_c{c}.png", "1")[0])).members.size == 2 * 29


def test_slides_of_one_name_in_several_folders_are_apart() -> None:
    names = [f"{patient}/s_r{r}_c{c}.png" for patient in "ab" for r in range(3) for c in range(3)]
    positions = placed(names, groups=[name[0] for name in names]).positions
    assert len(np.unique(positions, axis=0)) == 18


def test_the_reader_takes_the_order(tmp_path: Path) -> None:
    Patches.example(tmp_path)
    for i, file in enumerate(sorted(tmp_path.rglob("*.*"))):
        file.rename(tmp_path / f"s_{i % 3}_{i // 3}{file.suffix}")
    data = Patches.open(tmp_path, Patches.Config(numbers="x_y"))
    assert data.index.positions.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1], [0, 2], [1, 2]]
