"""How well a run chooses the encoder that it hands back, judged on validation groups.

    python benchmarks/choosing.py run --out FOLDER
    python benchmarks/choosing.py table --out FOLDER

`run` trains by default from ImageNet weights on the training part of each set, and keeps the
features of all candidates. `table` lets rules choose: `ssl_kit.training.choice.choose`, by one
division of the judged images into folds and by several. The gain of the choice over the start is
that of a ridge probe on the validation part, which took no part in anything.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import command_line
import numpy as np
import torch
from default_queue import BATCH, ENCODER
from default_runs import SIZE
from default_sets import DRAWS, FEW, HOLDOUT, SETS
from numpy.typing import NDArray

from ssl_kit import open_data, train
from ssl_kit.data import domains, split
from ssl_kit.evaluation import probe_predict
from ssl_kit.training.choice import choose
from ssl_kit.training.judge import Sample
from ssl_kit.training.selection import Selection

IMAGES = (2_560, 8_192)  # of a training; of larger ones as many fewer
MOST = 1_000  # images of the training and of the validation part
PARTS = ("sample", "big", "val")  # judged by, training part, validation part
Gains = NDArray[np.float64]


def keep_features(found: dict[str, Any]) -> None:
    """Makes the end of a training store labels, groups and the features of all candidates."""
    choose_and_write = Selection._choice

    def choice(self: Selection, end: Mapping[str, torch.Tensor], steps: int) -> dict[str, Any]:
        facts = choose_and_write(self, end, steps)
        index, parts = self._setup.dataset.index, split(self._setup.dataset.index, HOLDOUT)
        train, val = (np.sort(p[index.labels[p] >= 0]) for p in (parts.train, parts.val))
        chosen = ((self._images, self.images(steps)), (train, MOST), (val, MOST))
        for name, (positions, most) in zip(PARTS, chosen, strict=True):
            sample = Sample.of(self._setup, positions, most)
            found[f"{name}_y"], found[f"{name}_g"] = sample.labels, sample.groups
            candidates = self._candidates.all(end)
            features = [self._features(sample, weights) for _, weights in candidates]
            found[f"{name}_x"] = np.stack(features).astype(np.float32)
        return facts

    Selection._choice = choice  # type: ignore[method-assign]


def train_on(name: str, images: int, root: Path, weights: Path, folder: Path) -> None:
    """Trains on the training part of a set by default, for a number of images."""
    asked, data = SETS[name], root / name
    if asked.prepare is not None:
        data = folder / "images"
        data.mkdir()
        asked.prepare(root / name, data)
    index = open_data(domain=asked.domain, data=data, set=dict(asked.options)).index
    pool = len(split(index, HOLDOUT).train)
    batch = min(BATCH, pool)
    size = domains[asked.domain].pretrained_defaults.get("encoder", {}).get("image_size", SIZE)
    epochs = max(1, round(images * (SIZE / size) ** 2 / (pool // batch * batch)))
    given = {"workers": 0, "precision": "fp32", "epochs": epochs, "batch_size": batch}
    train(
        **{"domain": asked.domain, "data": data, "init": weights, "encoder": ENCODER, **given},
        holdout=HOLDOUT,
        set={**asked.options, "data.keep_out": "val"},
        out=folder / "run",
    )


def gains(stored: Mapping[str, NDArray[Any]]) -> Gains:
    """Returns the gains of candidates over the start in points, with all and with few labels."""
    labels, tested = stored["big_y"], stored["val_y"]
    draws: list[NDArray[np.int64]] = [np.arange(len(labels))]
    for seed in range(DRAWS):
        order = np.random.default_rng(seed).permutation(len(labels))
        few = [order[labels[order] == label][:FEW] for label in np.unique(labels)]
        draws.append(np.concatenate(few))
    scores = np.zeros((len(stored["big_x"]), len(draws)))
    for i, (known, asked) in enumerate(zip(stored["big_x"], stored["val_x"], strict=True)):
        for k, rows in enumerate(draws):
            right = probe_predict(known[rows], labels[rows], asked) == tested
            recalls = [right[tested == label].mean() for label in np.unique(tested)]
            scores[i, k] = 100 * np.mean(recalls)
    scores = np.column_stack([scores[:, 0], scores[:, 1:].mean(axis=1)])
    return scores - scores[:1]


def chosen(stored: Mapping[str, NDArray[Any]], divisions: int | None) -> int:
    """Returns the number of the candidate that is chosen by so many divisions, or the kit's own."""
    labels, groups = stored["sample_y"], stored["sample_g"]
    sample = Sample(torch.zeros(len(labels)), labels, groups)
    sample.__dict__["folds"] = sample.folds[:divisions]
    correct = [sample.correct(features) for features in stored["sample_x"]]
    return choose(correct, labels, groups, sample.folds[0]).chosen


def rows(folder: Path) -> Iterator[str]:
    """Yields the lines of the table."""
    yield "| images | chosen | sets changed | all labels: mean, worst | 10 labels: mean, worst |"
    yield "|---|---|---|---|---|"
    for images in IMAGES:
        stored = [np.load(file) for file in sorted(folder.glob(f"*-{images}-0.npz"))]
        gained = [gains(each) for each in stored]
        rules = {
            "by one division": [chosen(each, 1) for each in stored],
            "by several divisions": [chosen(each, None) for each in stored],
            "always the end": [2] * len(stored),
        }
        for rule, picks in rules.items():
            values = np.array([gain[pick] for gain, pick in zip(gained, picks, strict=True)])
            texts = [f"{v.mean():+.1f}, {v.min():+.1f}" for v in values.T]
            count = f"{np.count_nonzero(picks)} of {len(picks)}"
            yield f"| {images:,} | {rule} | {count} | {' | '.join(texts)} |"


def main() -> None:
    """Trains, or prints the table."""
    parser = command_line.parser(__doc__, "choosing")
    parser.add_argument("do", choices=["run", "table"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.do == "table":
        sys.stdout.writelines(f"{line}\n" for line in rows(args.out))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    keep_features(found)
    for images in IMAGES:
        for name in args.sets or SETS:
            file = args.out / f"{name}-{images}-0.npz"
            if not file.is_file():
                with tempfile.TemporaryDirectory() as folder:
                    train_on(name, images, args.data, args.weights, Path(folder))
                np.savez(file, **found)


if __name__ == "__main__":
    main()
