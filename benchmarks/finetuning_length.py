r"""How long fine-tuning must be: accuracy on validation images against the length of the training.

    python benchmarks/finetuning_length.py --domain remote_sensing --data ../shared/data/aid15 \
        --arm resnet18:scratch --lengths 8000,32000 --size 32 --out lengths.jsonl

Each line of the file is one training on training images alone, of a number of labels per class,
with its own learning-rate schedule. It is tested on at most 200 images of the validation part,
because a default must not be chosen on the test part. A line that is in the file is not computed
again. Without --data it prints the file as a table.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from ssl_kit import open_data
from ssl_kit.data import Splits, domains, evenly_spaced, kept_in_memory, split
from ssl_kit.evaluation import EvaluationData, FineTuningConfig, draw_labels, fine_tune, from_init

KEY = ("data", "budget", "encoder", "init", "images")


def limited(domain: str, path: str, budget: str) -> EvaluationData:
    """Returns the training images that a budget buys, and validation images to test on."""
    dataset = open_data(domain=domain, data=path)
    parts = split(dataset.index, 0.2)
    train, val = parts.train, parts.val[evenly_spaced(len(parts.val), 200)]
    if budget != "all":
        train = draw_labels(dataset.index, train, int(budget), 0)
    dataset = kept_in_memory(dataset, np.union1d(train, val), 0)
    return EvaluationData(dataset, Splits(train, val[:0], val), domains[domain], workers=0)


def measure(data: EvaluationData, name: str, init: str, size: int, images: int) -> dict[str, Any]:
    """Trains once, and returns the balanced accuracy on the validation images."""
    train = data.splits.train
    epochs = max(1, round(images / len(train)))
    model = from_init(init, name, size, data.dataset, train)
    result = fine_tune(model, data, FineTuningConfig(epochs=epochs)).result
    return {
        "train": len(train),
        "epochs": epochs,
        "balanced_accuracy": result.metrics["balanced_accuracy"].value,
        "loss": result.details["training_loss"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Returns a row for each training, with the balanced accuracy in percent."""
    lines = ["| data | labels | encoder | init | images | epochs | accuracy | loss |"]
    lines.append("|---" * 8 + "|")
    for row in rows:
        words = [Path(row["data"]).name, row["train"], row["encoder"], Path(row["init"]).name]
        words += [row["images"], row["epochs"], f"{100 * row['balanced_accuracy']:.1f}"]
        lines.append(f"| {' | '.join(map(str, words))} | {row['loss']:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", default="")
    parser.add_argument("--domain", default="natural")
    parser.add_argument("--arm", action="append", default=[], metavar="ENCODER:INIT")
    parser.add_argument("--budgets", default="all")
    parser.add_argument("--lengths", default="8000,32000")
    parser.add_argument("--size", type=int, default=64)
    given = parser.parse_args()
    lines = given.out.read_text().splitlines() if given.out.is_file() else []
    rows = [json.loads(line) for line in lines]
    if not given.data:
        return print(table(rows))
    for budget in given.budgets.split(","):
        data = limited(given.domain, given.data, budget)
        for arm in given.arm:
            name, _, init = arm.partition(":")
            for images in map(int, given.lengths.split(",")):
                key = dict(zip(KEY, (given.data, budget, name, init, images), strict=True))
                if any(key.items() <= row.items() for row in rows):
                    continue
                rows.append({**key, **measure(data, name, init, given.size, images)})
                with given.out.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
                print(table(rows[-1:]).splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
