"""Does a detector find more when it starts from trained weights? On blood smears.

    python benchmarks/detection.py ../shared/data/bccd WEIGHTS --encoder tf_efficientnet_lite0

BCCD: red and white cells and platelets, in the split of its authors. The evaluation `detection` of
the weights and of random ones, on the same images, with paired differences.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from ssl_kit import EvaluationData
from ssl_kit.core.config import DataConfig
from ssl_kit.core.discovery import domains
from ssl_kit.core.evaluation import Comparison, compare
from ssl_kit.core.pretrained import Pretrained, from_init
from ssl_kit.core.setup import open_dataset
from ssl_kit.core.splits import Splits, split
from ssl_kit.plugins.evaluations.detection import Detection, DetectionConfig


def images(folder: Path, train: int, test: int) -> EvaluationData:
    """Opens the images in the parts of ImageSets, the first `train` and `test` of them."""
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
    chosen = Splits(parts.train[:train], parts.val[:0], parts.test[:test])
    return EvaluationData(dataset, chosen, domains["natural"], workers=0)


def text(found: Comparison) -> str:
    """Returns a line for each metric, and the classes."""
    lines = [f"{name}: {result.details}" for name, result in found.results.items()]
    for metric, gain in found.gains.items():
        said = "  ".join(str(result.metrics[metric]) for result in found.results.values())
        lines.append(f"{metric:10} {said}  gain {gain}")
    for rows in zip(*(result.rows for result in found.results.values()), strict=True):
        shown = "  ".join(f"AP {100 * r['AP']:.1f} AP50 {100 * r['AP50']:.1f}" for r in rows)
        lines.append(f"{rows[0]['class']:10} {rows[0]['objects']:.0f} objects  {shown}")
    return "\n".join(lines)


class Timed(Detection):
    """Says how long each encoder takes."""

    def evaluate(self, model: Pretrained, data: EvaluationData):  # noqa: ANN201
        """Evaluates one encoder."""
        start = time.perf_counter()
        result = super().evaluate(model, data)
        print(f"{model.name}: {time.perf_counter() - start:.0f} s", flush=True)
        return result


def main() -> None:
    """Evaluates both encoders."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("weights")
    parser.add_argument("--encoder", default="tf_efficientnet_lite0")
    parser.add_argument("--train", type=int, default=205, help="images")
    parser.add_argument("--test", type=int, default=72, help="images")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, default=DetectionConfig.model_fields["lr"].default)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    data = images(asked.folder, asked.train, asked.test)
    options = {name: getattr(asked, name) for name in ("size", "epochs", "batch_size", "lr")}
    config = DetectionConfig(annotations=str(asked.folder / "Annotations"), **options)
    models = [
        replace(from_init(init, asked.encoder, asked.size, data.dataset, data.splits.train), name=n)
        for n, init in (("trained", asked.weights), ("random", "scratch"))
    ]
    print(text(compare(models, data, {"detection": Timed(config)})[0]))


if __name__ == "__main__":
    main()
