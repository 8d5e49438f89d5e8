"""What `train` hands back from ImageNet weights, against the start, on the test parts.

    python benchmarks/handed_back.py --out docs/handed_back.jsonl
    python benchmarks/defaults.py table --out docs/defaults.jsonl

Each set is trained on with the defaults of its domain. Encoder, image size and length are those of
benchmarks/defaults.py. A set whose line is there is left out. The second command writes the table
into docs/defaults.md.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import command_line
import torch
from default_queue import BATCH, ENCODER, IMAGES_A_MINUTE, MINUTES
from default_runs import SIZE
from default_sets import ALL_SETS, HOLDOUT, ImageSet
from defaults import append, lines

from ssl_kit import compare, open_data, train
from ssl_kit.data import domains, split

ESTIMATE = ("value", "low", "high")
DRAWS = 10  # of the labels, when there are few
SETTINGS = {"encoder": ENCODER, "workers": 0, "precision": "fp32"}


class Comparison:
    """Trainings on one set, compared on its test part.

    Args:
        name: Of the set.
        root: Folder that holds the sets.
        weights: File of ImageNet weights.
        folder: Where runs are kept until the comparison is done.
    """

    def __init__(self, name: str, root: Path, weights: str, folder: Path) -> None:
        self.set: ImageSet = ALL_SETS[name]
        self.folder, self.images = folder, root / name
        if self.set.prepare is not None:
            self.images = folder / "images"
            self.images.mkdir()
            self.set.prepare(root / name, self.images)
        self.given = {"domain": self.set.domain, "data": self.images, "init": weights, **SETTINGS}

    def batches(self) -> tuple[int, int]:
        """Returns the batch size and the number of images in an epoch."""
        dataset = open_data(domain=self.set.domain, data=self.images, set=dict(self.set.options))
        parts = split(dataset.index, HOLDOUT)
        pool = len(parts.train) + len(parts.val)
        batch = min(BATCH, pool)
        return batch, pool // batch * batch

    def train(self, epochs: int, batch_size: int) -> Any:
        """Trains by default, and returns the run."""
        given = {**self.given, "epochs": epochs, "batch_size": batch_size, "holdout": HOLDOUT}
        return train(**given, set=self.set.options, out=self.folder / "run")

    def differences(self, *arms: str | Path) -> dict[str, Any]:
        """Returns main metric and difference of the first arm from the others, by label budget."""
        compared = compare(
            *arms, budgets="10,all", seeds=DRAWS, controls=False, out=self.folder / "compared"
        )
        first, metric = compared["arms"][0]["name"], compared["main"]
        found: dict[str, Any] = {
            "metric": metric,
            "draws": DRAWS,
            "groups": compared["data"]["test_groups"],
        }
        for row in compared["differences"]:
            if row["arm"] == first:
                pair = [_value(compared, row[key], row["budget"]) for key in ("arm", "against")]
                numbers = [row["metrics"][metric][key] for key in ESTIMATE]
                against = found.setdefault(row["against"], {})
                against[row["budget"]] = [round(float(each), 4) for each in [*pair, *numbers]]
        return found


def _value(compared: Mapping[str, Any], arm: str, budget: str) -> float:
    rows = compared["results"]
    row = next(each for each in rows if (each["arm"], each["budget"]) == (arm, budget))
    return float(row["metrics"][compared["main"]]["value"])


def by_default(comparison: Comparison, length: str, image_size: int | None) -> dict[str, Any]:
    """Trains by default for a length of `MINUTES`, and compares with the start.

    Args:
        comparison: Trains and compares.
        length: Of the training.
        image_size: In pixels; None is the default's.
    """
    batch, epoch = comparison.batches()
    if image_size is None:
        sizes = domains[comparison.set.domain].pretrained_defaults.get("encoder", {})
        image_size = sizes.get("image_size", SIZE)
    comparison.given["image_size"] = image_size
    # larger images are as many fewer
    images = MINUTES[length] * IMAGES_A_MINUTE[ENCODER] * (SIZE / image_size) ** 2
    epochs = max(1, round(images / epoch))
    run = comparison.train(epochs, batch)
    return {
        "objective": run.config.objective.name,
        "images": epochs * epoch,
        "kept": run.read_json(run.selection.name)["kept"],
        **comparison.differences(run.folder, "start"),
    }


def main() -> None:
    """Works through the sets."""
    parser = command_line.parser(__doc__, "docs/handed_back.jsonl")
    parser.add_argument("--length", choices=list(MINUTES), default="1 minute")
    parser.add_argument("--image-size", type=int, help="another than the default")
    args = parser.parse_args()
    torch.set_num_threads(1)
    other = {"image_size": args.image_size} if args.image_size else {}
    known = lines(args.out)
    done = {(line["set"], line["length"], line.get("image_size")) for line in known}
    for name in args.sets or ALL_SETS:
        if (name, args.length, args.image_size) in done:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            comparison = Comparison(name, args.data, str(args.weights), Path(folder))
            found = by_default(comparison, args.length, args.image_size)
        about = {"set": name, "field": ALL_SETS[name].field, "length": args.length, **other}
        line = {**about, **found, "seconds": round(time.monotonic() - began)}
        append(args.out, line)
        print(line, flush=True)


if __name__ == "__main__":
    main()
