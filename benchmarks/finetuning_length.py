r"""How long fine-tuning must be: accuracy on validation images against the length of the training.

    python benchmarks/finetuning_length.py --domain remote_sensing --data ../shared/data/aid15 \
        --arm resnet18:scratch --budgets 10,all --lengths 8000,32000 --out lengths.jsonl

Each line of the file is one training on training images alone, of a number of labels per class,
with its own schedule. It has the balanced accuracy on at most 200 validation images at ten points
of the training. The test part is not used. A line that is in the file is not computed again.
Without --data it prints the file as a table.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ssl_kit.core.discovery import domains
from ssl_kit.core.index import evenly_spaced
from ssl_kit.data.in_memory import kept_in_memory
from ssl_kit.data.opening import DataConfig, open_dataset
from ssl_kit.data.splits import Splits, split
from ssl_kit.evaluation import EvaluationData, FineTuningConfig, draw_labels
from ssl_kit.evaluation.classifier_training import EncoderTraining
from ssl_kit.evaluation.finetuning import score, validation_epochs
from ssl_kit.evaluation.pretrained import from_init

KEY = ("data", "budget", "encoder", "init", "images")


def load(domain: str, path: str) -> EvaluationData:
    kind = domains[domain]
    dataset = open_dataset(kind, DataConfig(path=path))
    return EvaluationData(dataset, split(dataset.index, 0.2), kind, workers=0)


def limited(data: EvaluationData, budget: str) -> EvaluationData:
    """Returns the training images that a budget buys and at most 200 validation images."""
    parts, train = data.parts, data.parts.train
    if budget != "all":
        train = draw_labels(data.dataset.index, train, int(budget), 0)
    val = parts.val[evenly_spaced(len(parts.val), 200)]
    dataset = kept_in_memory(data.dataset, np.union1d(train, val), 0)
    return replace(data, dataset=dataset, splits=Splits(train, val, parts.test))


def measure(data: EvaluationData, name: str, init: str, size: int, images: int) -> dict[str, Any]:
    """Trains once and returns what was measured."""
    train, classes = data.splits.train, len(data.dataset.index.classes)
    epochs = max(1, round(images / len(train)))
    model = from_init(init, name, size, data.dataset, train)
    config = FineTuningConfig()
    training = EncoderTraining(model, data, config, epochs, with_val=False)
    started, curve, losses = time.monotonic(), [], []
    for done in range(1, epochs + 1):
        losses.append(round(training.epoch(), 4))
        if done in validation_epochs(epochs):
            accuracy, likelihood = score(classes, *training.validate())
            curve.append((done, round(accuracy, 4), round(likelihood, 4)))
    seconds = round(time.monotonic() - started, 1)
    facts = {"train": len(train), "classes": classes, "epochs": epochs, "loss": losses[-1]}
    return {**facts, "curve": curve, "seconds": seconds}


def table(rows: list[dict[str, Any]]) -> str:
    """Returns a row for each training: accuracy of the best and of the last check, in percent."""
    lines = ["| data | labels | encoder | init | images | epochs | best check | last | loss |"]
    lines.append("|---" * 9 + "|")
    for row in rows:
        best = max(row["curve"], key=lambda check: check[1:])
        words = [Path(row["data"]).name, row["train"], row["encoder"], Path(row["init"]).name[:8]]
        words += [row["images"], row["epochs"], f"{100 * best[1]:.1f} at {best[0]}"]
        words += [f"{100 * row['curve'][-1][1]:.1f}", f"{row['loss']:.2f}"]
        lines.append(f"| {' | '.join(map(str, words))} |")
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
    data = load(given.domain, given.data)
    for budget in given.budgets.split(","):
        part = limited(data, budget)
        for arm in given.arm:
            name, _, init = arm.partition(":")
            for images in map(int, given.lengths.split(",")):
                key = dict(zip(KEY, (given.data, budget, name, init, images), strict=True))
                if any(key.items() <= row.items() for row in rows):
                    continue
                rows.append(
                    {**key, "size": given.size, **measure(part, name, init, given.size, images)}
                )
                with given.out.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
                print(table(rows[-1:]).splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
