r"""What `train` hands back from ImageNet weights, and what `tune` gains, on the test parts.

    python benchmarks/handed_back.py train --out docs/handed_back.jsonl
    python benchmarks/handed_back.py tune --budget 15m --out docs/handed_back.jsonl
    python benchmarks/defaults.py table --out docs/defaults.jsonl

`train` trains on each set with the defaults of its domain, and compares the encoder that the run
hands back with the start. `tune` searches settings first, trains with what it found and, for as
many epochs, with the defaults, and compares the two. Only the objective, its options and those of
training differ from the defaults of the kit; the encoder and the size of the images do not. A set
whose line is there is left out. The last command writes the tables into docs/defaults.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from default_sets import HOLDOUT, SETS, ImageSet
from defaults import BATCH, ENCODER, IMAGES_A_MINUTE, MINUTES, SIZE, append, lines

from ssl_kit import compare, open_data, train, tune
from ssl_kit.data import split

ESTIMATE = ("value", "low", "high")
SETTINGS = {"encoder": ENCODER, "image_size": SIZE, "workers": 0, "precision": "fp32"}


class Comparison:
    """Trainings on one set, compared on its test part.

    Args:
        name: Of the set.
        root: Folder that holds the sets.
        weights: File of ImageNet weights.
        folder: Where runs are kept until the comparison is done.
    """

    def __init__(self, name: str, root: Path, weights: str, folder: Path) -> None:
        self.set: ImageSet = SETS[name]
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

    def train(self, name: str, **settings: Any) -> Any:
        """Trains with what is given, and returns the run."""
        given = {**self.given, "holdout": HOLDOUT, **settings, "out": self.folder / name}
        return train(**given, set=self.set.options)

    def differences(self, *arms: str | Path) -> dict[str, Any]:
        """Returns main metric and difference of the first arm from the others, by label budget."""
        compared = compare(
            *arms, budgets="10,all", seeds=3, controls=False, out=self.folder / "compared"
        )
        first, metric = compared["arms"][0]["name"], compared["main"]
        found: dict[str, Any] = {"metric": metric, "groups": compared["data"]["test_groups"]}
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


def by_default(comparison: Comparison, length: str) -> dict[str, Any]:
    """Trains by default for a length of `MINUTES`, and compares with the start."""
    batch, epoch = comparison.batches()
    epochs = max(1, round(MINUTES[length] * IMAGES_A_MINUTE[ENCODER] / epoch))
    run = comparison.train("run", epochs=epochs, batch_size=batch)
    return {
        "objective": run.config.objective.name,
        "images": epochs * epoch,
        "kept": run.read_json(run.selection.name)["kept"],
        **comparison.differences(run.folder, "start"),
    }


def by_search(comparison: Comparison, budget: str) -> dict[str, Any]:
    """Searches settings, and compares what they give with the defaults and the start."""
    searched = tune(
        **{**comparison.given, "batch_size": comparison.batches()[0]},
        holdout=HOLDOUT,
        budget=budget,
        set=comparison.set.options,
        out=comparison.folder / "search",
    )
    config = searched.folder / "config.toml"
    tuned = comparison.train("tuned", config=config)
    train_again = {"epochs": tuned.config.train.epochs, "batch_size": tuned.config.train.batch_size}
    default = comparison.train("default", **train_again)
    return {
        "objective": tuned.config.objective.name,
        "lr": tuned.config.optimizer.lr,
        "epochs": tuned.config.train.epochs,
        "said": str(searched).partition("Winner: ")[2].splitlines()[:3],
        **comparison.differences(tuned.folder, default.folder, "start"),
    }


def main() -> None:
    """Works through the sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["train", "tune"])
    parser.add_argument("--out", type=Path, default=Path("docs/handed_back.jsonl"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--weights",
        type=Path,
        default=Path("../shared/weights/tf_efficientnet_lite0.imagenet.safetensors"),
    )
    parser.add_argument("--length", choices=list(MINUTES), default="1 minute")
    parser.add_argument("--budget", default="15m", help="of a search")
    parser.add_argument("--sets", default="", help="names, separated by commas")
    args = parser.parse_args()
    torch.set_num_threads(1)
    length = args.length if args.action == "train" else args.budget
    done = {(r["kind"], r["set"], r["length"]) for r in lines(args.out)}
    for name in args.sets.split(",") if args.sets else SETS:
        if (args.action, name, length) in done:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            comparison = Comparison(name, args.data, str(args.weights), Path(folder))
            found = (by_default if args.action == "train" else by_search)(comparison, length)
        about = {"kind": args.action, "set": name, "field": SETS[name].field, "length": length}
        line = {**about, **found, "seconds": round(time.monotonic() - began)}
        append(args.out, line)
        print(line, flush=True)


if __name__ == "__main__":
    main()
