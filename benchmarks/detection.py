"""Does a detector find more when it starts from trained weights? On blood smears, few of them.

    python benchmarks/detection.py ../shared/data/bccd scratch WEIGHTS RUN

BCCD: red and white cells and platelets, in the split of its authors. The evaluation `detection` of
each arm on the same images, with paired differences.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from ssl_kit import load, open_data
from ssl_kit.data import Splits, domains, split
from ssl_kit.evaluation import (
    EvaluationData,
    Pretrained,
    Result,
    evaluations,
    from_init,
    paired_difference,
    verdict,
)

Detection = evaluations["detection"]
FIELDS = Detection.Config.model_fields


def images(folder: Path, train: int) -> EvaluationData:
    """Opens the images in the parts of ImageSets, `train` of those outside of the test part."""
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "split"])
        for part in ("train", "val", "test"):
            names = (folder / "ImageSets" / "Main" / f"{part}.txt").read_text().split()
            table.writerows([f"JPEGImages/{name}.jpg", part] for name in names)
        file.flush()
        dataset = open_data(domain="natural", data=folder, labels=file.name)
    parts = split(dataset.index, 0)
    known = np.random.default_rng(0).permutation(np.concatenate([parts.train, parts.val]))
    chosen = Splits(np.sort(known[:train]), known[:0], parts.test)
    return EvaluationData(dataset, chosen, domains["natural"], workers=0)


def model_of(arm: str, data: EvaluationData, encoder: str, size: int) -> Pretrained:
    """Returns the encoder of a run, or one with initial weights."""
    if Path(arm).is_dir():
        return replace(load(arm).model, image_size=size)
    return from_init(arm, encoder, size, data.dataset, data.splits.train)


def page(results: dict[str, Result]) -> str:
    """Returns a table of the arms, one of the classes and one of the differences."""
    names = list(next(iter(results.values())).metrics)
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for arm, result in results.items():
        lines.append(f"| {arm} | {' | '.join(str(result.metrics[name]) for name in names)} |")
    for first, second in combinations(results, 2):
        gains = [paired_difference(results[second], results[first], name) for name in names]
        groups = results[first].groups
        cells = " | ".join(f"{gain} {verdict(gain, groups)}" for gain in gains)
        lines.append(f"| {second} against {first} | {cells} |")
    lines += ["", "| AP50 | " + " | ".join(results) + " |", "|---" * (len(results) + 1) + "|"]
    for rows in zip(*(result.rows for result in results.values()), strict=True):
        values = " | ".join(f"{100 * row['AP50']:.1f}" for row in rows)
        lines.append(f"| {rows[0]['class']} ({rows[0]['objects']:.0f}) | {values} |")
    return "\n".join(lines)


def main() -> None:
    """Evaluates all arms."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("arms", nargs="+", help="scratch, a file of weights, a run folder")
    parser.add_argument("--encoder", default="tf_efficientnet_lite0")
    parser.add_argument("--train", type=int, default=100, help="images")
    parser.add_argument("--threads", type=int, default=1)
    for name in ("size", "epochs", "batch_size", "lr", "freeze", "seed"):
        field = FIELDS[name]
        kind = str if name == "freeze" else type(field.default)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=field.default)
    asked = vars(parser.parse_args())
    torch.set_num_threads(asked["threads"])
    data = images(asked["folder"], asked["train"])
    options = {k: v for k, v in asked.items() if k in FIELDS}
    evaluation = Detection(
        Detection.Config(annotations=str(asked["folder"] / "Annotations"), **options)
    )
    results = {}
    for arm in asked["arms"]:
        start = time.process_time()
        model = model_of(arm, data, asked["encoder"], asked["size"])
        result = results[model.name] = evaluation.evaluate(model, data)
        print(f"{model.name}: {time.process_time() - start:.0f} s, {result.details}", flush=True)
    print(page(results))


if __name__ == "__main__":
    main()
