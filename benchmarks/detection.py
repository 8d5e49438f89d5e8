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
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from ssl_kit.core.discovery import domains
from ssl_kit.data.opening import DataConfig, open_dataset
from ssl_kit.data.splits import Splits, split
from ssl_kit.evaluation import EvaluationData, Result, paired_difference, verdict
from ssl_kit.evaluation.requests import load_encoder
from ssl_kit.plugins.evaluations.detection import Detection, DetectionConfig


def images(folder: Path, train: int) -> EvaluationData:
    """Opens the images in the parts of ImageSets, `train` of those outside of the test part."""
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "split"])
        for part in ("train", "val", "test"):
            names = (folder / "ImageSets" / "Main" / f"{part}.txt").read_text().split()
            table.writerows([f"JPEGImages/{name}.jpg", part] for name in names)
        file.flush()
        config = DataConfig(path=str(folder), labels=file.name)
        dataset = open_dataset(domains["natural"], config)
    parts = split(dataset.index, 0)
    known = np.random.default_rng(0).permutation(np.concatenate([parts.train, parts.val]))
    chosen = Splits(np.sort(known[:train]), known[:0], parts.test)
    return EvaluationData(dataset, chosen, domains["natural"], workers=0)


def page(found: dict[str, Result]) -> str:
    """Returns a table of the arms, one of the classes and one of the differences."""
    names = list(next(iter(found.values())).metrics)
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for arm, result in found.items():
        lines.append(f"| {arm} | {' | '.join(str(result.metrics[name]) for name in names)} |")
    for first, second in combinations(found, 2):
        gains = [paired_difference(found[second], found[first], name) for name in names]
        cells = " | ".join(f"{gain} {verdict(gain)}" for gain in gains)
        lines.append(f"| {second} against {first} | {cells} |")
    lines += ["", "| AP50 | " + " | ".join(found) + " |", "|---" * (len(found) + 1) + "|"]
    for rows in zip(*(result.rows for result in found.values()), strict=True):
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
        field = DetectionConfig.model_fields[name]
        kind = str if name == "freeze" else type(field.default)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=field.default)
    asked = vars(parser.parse_args())
    torch.set_num_threads(asked["threads"])
    data = images(asked["folder"], asked["train"])
    options = {k: v for k, v in asked.items() if k in DetectionConfig.model_fields}
    evaluation = Detection(
        DetectionConfig(annotations=str(asked["folder"] / "Annotations"), **options)
    )
    found = {}
    for arm in asked["arms"]:
        start = time.process_time()
        model, _ = load_encoder(
            arm, data.dataset, data.splits.train, asked["encoder"], asked["size"]
        )
        result = found[model.name] = evaluation.evaluate(model, data)
        print(f"{model.name}: {time.process_time() - start:.0f} s, {result.details}", flush=True)
    print(page(found))


if __name__ == "__main__":
    main()
