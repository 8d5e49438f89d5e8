"""Does context tell a slide's label? Slides of real tiles whose label is how four of them lie.

    python benchmarks/assembled_slides.py ../shared/data/lc25000_lung slides
    python benchmarks/assembled_slides.py ../shared/data/oral_oscc oral_slides \
        --kinds oscc normal --only magnification=400x
    ssl-kit evaluate WEIGHTS --encoder tf_efficientnet_lite0 --domain histopathology --data slides \
        --evaluation bags --set bags.pooling=graph --set bags.maps=maps

No set of whole slides with labels is at hand, so these are assembled, not scanned: 6 x 6 tiles,
four of carcinoma among benign ones, as a square in the class "nest" and no two side by side in the
class "apart". What a slide is made of says nothing about its class. 120 slides are for training, 40
for validation and 60 for testing; no original image is in two of these parts, as far as the set
names them (the column "group"). About 1.1 GB.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile

SIDE, TILE, MPP = 6, 224, 0.5
SLIDES = {"train": 120, "val": 40, "test": 60}


def tiles_of_parts(
    folder: Path, kinds: list[str], only: str, rng: np.random.Generator
) -> dict[tuple[str, str], list[Path]]:
    """Returns the tiles of each class and part; a group is in one part.

    Args:
        folder: Tiles with labels.csv (path, label, and group if tiles belong together).
        kinds: Class of the four tiles, class of the others.
        only: COLUMN=VALUE of the tiles that are taken, "" for all.
        rng: Draws the parts.
    """
    column, _, value = only.partition("=")
    with (folder / "labels.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if not only or row[column] == value]
    for row in rows:
        row.setdefault("group", row["path"])
    found = defaultdict(list)
    for kind in kinds:
        groups = sorted({row["group"] for row in rows if row["label"] == kind})
        order = [groups[i] for i in rng.permutation(len(groups))]
        bounds = {"train": 0.6, "val": 0.8, "test": 1.0}
        part_of = {
            group: next(part for part, end in bounds.items() if i < end * len(order))
            for i, group in enumerate(order)
        }
        for row in rows:
            if row["label"] == kind:
                found[kind, part_of[row["group"]]].append(folder / row["path"])
    return found


def places(nest: bool, rng: np.random.Generator) -> set[tuple[int, int]]:
    """Draws where the four odd tiles lie, as (row, column)."""
    if nest:
        row, column = rng.integers(SIDE - 1, size=2).tolist()
        return {(row + r, column + c) for r in (0, 1) for c in (0, 1)}
    while True:
        drawn = [divmod(i, SIDE) for i in rng.choice(SIDE**2, 4, replace=False).tolist()]
        gaps = [
            max(abs(a[0] - b[0]), abs(a[1] - b[1])) for i, a in enumerate(drawn) for b in drawn[:i]
        ]
        if min(gaps) > 1:
            return set(drawn)


def assemble(
    chosen: set[tuple[int, int]], odd: list[Path], common: list[Path], rng: np.random.Generator
) -> np.ndarray[Any, Any]:
    """Returns a slide, (H, W, 3) RGB, with odd tiles at some places and common ones elsewhere."""
    slide = np.zeros((SIDE * TILE, SIDE * TILE, 3), np.uint8)
    for row, column in np.ndindex(SIDE, SIDE):
        drawn = odd if (row, column) in chosen else common
        tile = np.asarray(cv2.imread(str(drawn[rng.choice(len(drawn))])))[..., ::-1]
        if tile.shape[:2] != (TILE, TILE):
            tile = cv2.resize(tile, (TILE, TILE), interpolation=cv2.INTER_AREA)
        slide[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE] = tile
    return slide


def write(path: Path, slide: np.ndarray[Any, Any]) -> None:
    """Writes a slide of 0.5 microns per pixel as a tiled TIFF."""
    tifffile.imwrite(
        path,
        slide,
        photometric="rgb",
        tile=(TILE, TILE),
        resolution=(1e4 / MPP, 1e4 / MPP),
        resolutionunit="CENTIMETER",
    )


def main() -> None:
    """Writes the slides and labels.csv."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("tiles", type=Path, help="tiles with labels.csv")
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument(
        "--kinds", nargs=2, default=["lung_scc", "lung_n"], help="class of the four, of the others"
    )
    parser.add_argument("--only", default="", help="COLUMN=VALUE of the tiles to take")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True)
    rng = np.random.default_rng(0)
    tiles = tiles_of_parts(asked.tiles, asked.kinds, asked.only, rng)
    table = [("path", "label", "group", "split")]
    for part, count in SLIDES.items():
        odd, common = (tiles[kind, part] for kind in asked.kinds)
        for i in range(count):
            nest, name = i % 2 == 1, f"s{len(table) - 1:03}.tif"
            write(asked.out / name, assemble(places(nest, rng), odd, common, rng))
            table.append((name, "nest" if nest else "apart", name, part))
    with (asked.out / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)


if __name__ == "__main__":
    main()
