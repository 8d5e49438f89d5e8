"""Tiles of ships and of clean sea: 36 radar images of HRSID cut into small ones, with masks.

    python benchmarks/ship_tiles.py ../shared/data/hrsid_ships ships
    ssl-kit recipes run ss-rcnn-ships --small --data ships --imagenet-weights WEIGHTS

Writes gray tiles, labels.csv (path, label ship or sea, group, split) and annotations.json (COCO
with outlines). The group is the scene that an image was cut from, because images of one scene
overlap; every second scene, in the order of their numbers of ships, is for testing. A tile is "sea"
if no pixel of it belongs to a ship. A ship of which less than half lies in a tile is marked as a
crowd, so that finding it counts as neither right nor wrong.

Annotated are the tiles with a ship and, in the test scenes, as many tiles of sea (drawn), on which
a detection is an error. So a label budget counts images with ships.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIDE = 128

Pixels = np.ndarray[Any, Any]
Tile = tuple[str, Pixels, list[dict[str, Any]]]
"""File name, (H, W) pixels and annotated ships."""


def scene_of(image: Path) -> str:
    """Returns the scene that an image was cut from: P0001 of P0001_1200_2000_9600_10400.jpg."""
    return image.stem.partition("_")[0]


def ships_in(ships: Pixels, sizes: Pixels) -> Iterator[dict[str, Any]]:
    """Yields the annotation of each ship of a tile.

    Args:
        ships: (H, W) number of the ship of each pixel, 0 for none.
        sizes: Pixels of each ship in the whole image.
    """
    for number in np.unique(ships[ships > 0]).tolist():
        part = (ships == number).astype(np.uint8)
        outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        area = int(part.sum())
        polygons = [line.ravel().tolist() for line in outlines if len(line) > 2]
        x, y, width, height = cv2.boundingRect(part)
        corners = [x, y, x + width, y, x + width, y + height, x, y + height]
        yield {
            "category_id": 1,
            "bbox": [x, y, width, height],
            "area": area,
            "segmentation": polygons or [corners],
            "iscrowd": int(2 * area < sizes[number]),
        }


def tiles_of(image: Path, mask: Path, side: int) -> Iterator[Tile]:
    """Yields name, pixels and ships of the tiles of an image, evenly spaced and without overlap."""
    pixels = np.asarray(cv2.imread(str(image), cv2.IMREAD_GRAYSCALE))
    marked = np.asarray(cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)) > 0
    ships = np.asarray(cv2.connectedComponents(marked.astype(np.uint8))[1])
    sizes = np.bincount(ships.ravel())
    rows, columns = (np.linspace(0, n - side, n // side).astype(int) for n in pixels.shape)
    for y in rows.tolist():
        for x in columns.tolist():
            here = slice(y, y + side), slice(x, x + side)
            yield f"{image.stem}_{y}_{x}.png", pixels[here], list(ships_in(ships[here], sizes))


def test_scenes(tiles: dict[Path, list[Tile]]) -> set[str]:
    """Returns every second scene in the order of their numbers of whole ships."""
    counts = Counter({scene_of(file): 0 for file in tiles})
    for file, cut in tiles.items():
        counts[scene_of(file)] += sum(not ship["iscrowd"] for _, _, ships in cut for ship in ships)
    return {scene for scene, _ in counts.most_common()[1::2]}


def annotated(tiles: list[Tile], test: bool, rng: np.random.Generator) -> list[Tile]:
    """Returns the tiles with a ship; for testing with as many of sea, which are drawn."""
    sea = [tile for tile in tiles if not tile[2]]
    if not test:
        return [tile for tile in tiles if not all(ship["iscrowd"] for ship in tile[2])]
    ships = [tile for tile in tiles if tile[2]]
    drawn = rng.choice(len(sea), min(len(ships), len(sea)), replace=False)
    return ships + [sea[i] for i in np.sort(drawn).tolist()]


def ship_tiles(ships: Path, out: Path, side: int = SIDE) -> dict[str, list[Tile]]:
    """Writes tiles and labels.csv, and returns the tiles of the parts "train" and "test".

    Args:
        ships: HRSID with the folders images and masks.
        out: Folder for the tiles.
        side: Pixels of a tile.
    """
    files = sorted((ships / "images").glob("*.jpg"))
    masks = ships / "masks"
    tiles = {file: list(tiles_of(file, masks / f"{file.stem}.png", side)) for file in files}
    test = test_scenes(tiles)
    (out / "tiles").mkdir(parents=True)
    table = [("path", "label", "group", "split")]
    parts: dict[str, list[Tile]] = {"train": [], "test": []}
    for file, cut in tiles.items():
        part = "test" if scene_of(file) in test else "train"
        parts[part] += cut
        for name, pixels, found in cut:
            cv2.imwrite(str(out / "tiles" / name), pixels)
            table.append((f"tiles/{name}", "ship" if found else "sea", scene_of(file), part))
    with (out / "labels.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(table)
    return parts


def main() -> None:
    """Writes the tiles, labels.csv and annotations.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("ships", type=Path, help="HRSID with the folders images and masks")
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument("--side", type=int, default=SIDE, help="pixels of a tile")
    asked = parser.parse_args()
    parts = ship_tiles(asked.ships, asked.out, asked.side)
    rng = np.random.default_rng(0)
    marked = [tile for part, cut in parts.items() for tile in annotated(cut, part == "test", rng)]
    size = {"height": asked.side, "width": asked.side}
    coco = {
        "images": [{"id": i, "file_name": name, **size} for i, (name, _, _) in enumerate(marked)],
        "annotations": [
            {"image_id": i, **ship} for i, tile in enumerate(marked) for ship in tile[2]
        ],
        "categories": [{"id": 1, "name": "ship"}],
    }
    (asked.out / "annotations.json").write_text(json.dumps(coco))


if __name__ == "__main__":
    main()
