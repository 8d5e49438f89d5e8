r"""Crops the cells of the blood smears of BCCD, with the smear as the group.

    python benchmarks/blood_cells.py ../shared/data/bccd cells --kinds RBC WBC
    ssl-kit recipes run plasmodium-attention --small --data cells --set data.classes=WBC \
        --set comparisons.fine-tuned.options.finetune.positive=WBC \
        --set comparisons.operating-point.options.linear.positive=WBC

Of the frequent red cells, three of each smear are cropped.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Collection
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

from PIL import Image

OF_A_KIND = 3


def blood_cells(folder: Path, out: Path, kinds: Collection[str] = ()) -> None:
    """Writes at most three cells of each kind and smear, and labels.csv.

    Args:
        folder: With boxes.csv and JPEGImages.
        out: Folder for the cells.
        kinds: Of cells: RBC, WBC, Platelets; all if empty.
    """
    with (folder / "boxes.csv").open(newline="") as file:
        kind = itemgetter("image", "label")
        boxes = sorted(csv.DictReader(file), key=kind)
    rows = []
    for (name, label), of_kind in groupby(boxes, kind):
        if kinds and label not in kinds:
            continue
        image = Image.open(folder / "JPEGImages" / name)
        for number, box in enumerate(islice(of_kind, OF_A_KIND)):
            path = f"{label}-{number}-{Path(name).stem}.png"
            image.crop([int(box[k]) for k in ("xmin", "ymin", "xmax", "ymax")]).save(out / path)
            rows.append((path, label, Path(name).stem))
    with (out / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group"), *rows])


def main() -> None:
    """Writes the cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kinds", nargs="*", default=())
    args = parser.parse_args()
    args.out.mkdir(parents=True)
    blood_cells(args.data, args.out, args.kinds)


if __name__ == "__main__":
    main()
