"""Trains every objective on sets of three fields, and writes what each of them gains.

    python benchmarks/objectives.py run --out docs/objectives.jsonl
    python benchmarks/objectives.py table --out docs/objectives.jsonl

Each line of the file is one training with the default options of its objective: from random
weights (ResNet-18, or a small ViT where the objective needs tokens) and from ImageNet weights. The
encoder is judged on the validation part of the set as benchmarks/defaults.py does. A first round
gives all objectives the same number of images; a second one gives those that were slower or faster
than SimCLR by more than a sixth as many as they see in the time of SimCLR. A training whose line is
there is not repeated. `table` writes docs/objectives.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from default_queue import ENCODER, SIZE, Cell
from default_runs import grouped
from default_sets import SETS
from defaults import append, judges, lines, trained

from ssl_kit import SslKitError
from ssl_kit.nn import objectives

NAMES = ("rsscn7", "lc25000_lung", "mstar10")
FIRST, VIT, REFERENCE = "resnet18", "vit_small_patch8_224", "simclr"
BATCH = {"scratch": 64, "imagenet": 32}
IMAGES = {"scratch": 8_000, "imagenet": 4_000}
ROUNDS = ("images", "time")
ALIKE = 1 / 6  # of the time, which a second training would hardly change
EXTRA: Mapping[str, Mapping[str, Any]] = {
    "combination": {
        "objective.parts.simclr.weight": 1.0,
        "objective.parts.rotation.weight": 0.5,
    }
}
"""What an objective needs beside its defaults."""
PAGE = """# What each objective gains

This page was written by `python benchmarks/objectives.py table --out {results}`.
Do not edit it.

Every objective was trained with its default options at {size} px on sets of three fields: scenes
(`rsscn7`), tissue (`lc25000_lung`) and radar chips (`mstar10`). From random weights a ResNet-18 (a
small ViT where the objective needs tokens) saw about {scratch:,} images in batches of {batch};
from ImageNet weights an EfficientNet-Lite0 saw about {imagenet:,} in batches of {small}. **This is
little training**: about a minute. After a night of training the order may be different.

Figures are gains in points of balanced accuracy over the same weights without training, with 95 %
intervals over groups: of a ridge probe on frozen features, judged on the validation part. *mean* is
that over the sets, and *kNN* the same with the nearest neighbors as classifier. CPU seconds are
those of one thread. A gain counts as one if its interval lies above zero, as a loss if it lies
below.
"""


def settings_of(name: str, start: str, weights: Path) -> dict[str, Any]:
    """Returns the settings of an objective."""
    settings = {"objective": name, "train.batch_size": BATCH[start], **EXTRA.get(name, {})}
    if name == "distillation":
        teacher = {"teacher": weights.name.partition(".")[0], "weights": str(weights.resolve())}
        settings |= {f"objective.{key}": value for key, value in teacher.items()}
    return settings


def queue(weights: Path) -> Iterator[tuple[str, Cell]]:
    """Yields objectives and their trainings of a round, SimCLR first."""
    ours = [name for name in objectives if objectives.entry(name).origin == "ssl-kit"]
    names = sorted(ours, key=lambda name: name != REFERENCE)
    for name in names:
        tokens = "tokens" in objectives[name].needs
        for start in ("scratch", "imagenet"):
            if start == "imagenet" and (tokens or name == "distillation"):
                continue  # there are no weights for the ViT, and the teacher would be the start
            encoder = ENCODER if start == "imagenet" else VIT if tokens else FIRST
            for each in NAMES:
                settings = settings_of(name, start, weights)
                yield name, Cell(each, start, "images", settings, encoder)


def waiting(done: Sequence[Mapping[str, Any]], weights: Path) -> Iterator[tuple[str, str, Cell]]:
    """Yields round, objective and training of what is not done."""
    known = {(r["round"], *key_of(r)): r for r in done if r["kind"] == "run"}
    for part in ROUNDS:
        for name, cell in queue(weights):
            key = (name, cell.set, cell.start)
            if (part, *key) not in known and (part == "images" or not alike(known, key)):
                yield part, name, cell


def key_of(line: Mapping[str, Any]) -> tuple[str, str, str]:
    """Returns objective, set and start of a training."""
    return line["settings"]["objective"], line["set"], line["start"]


def alike(known: Mapping[Any, Mapping[str, Any]], key: tuple[str, str, str]) -> bool:
    """Tells whether an objective took about the time of SimCLR, or has not been timed."""
    _, name, start = key
    own, other = known.get(("images", *key)), known.get(("images", REFERENCE, name, start))
    if own is None or other is None:
        return True
    return abs(own["cpu_seconds"] / other["cpu_seconds"] - 1) < ALIKE


def run(args: argparse.Namespace) -> None:
    """Works through both rounds."""
    torch.set_num_threads(1)
    end, failed = time.monotonic() + 60 * args.minutes, set[tuple[str, str]]()

    judge_of = judges(args)
    while time.monotonic() < end:
        left = [
            (part, name, cell)
            for part, name, cell in waiting(lines(args.out), args.weights)
            if (part, cell.key) not in failed and (not args.sets or cell.set in args.sets)
        ]
        if not left:
            break
        part, name, cell = left[0]
        images = IMAGES[cell.start]
        if part == "time":
            own, other = (seconds(args.out, each, cell) for each in (name, REFERENCE))
            images = round(images * other / own)
        try:
            given = (judge_of(cell.set, cell.encoder), str(args.weights), images)
            line = trained(cell, *given, {"encoder.image_size": SIZE})
        except SslKitError as error:  # the others can still be computed
            if "by a signal" in str(error):
                raise
            failed.add((part, cell.key))
            print(f"failed: {name} on {cell.set}: {error}", flush=True)
            continue
        append(args.out, {**line, "round": part})
        gain = 100 * line["scores"]["all classes"]["probe"][1]
        words = f"{name}, {cell.set}, {cell.start}, same {part}"
        print(f"{line['cpu_seconds']:5.0f} s CPU  {gain:+5.1f}  {words}", flush=True)


def seconds(results: Path, objective: str, cell: Cell) -> float:
    """Returns the CPU seconds of an objective in the first round, on the set of a training."""
    key = (objective, cell.set, cell.start)
    done = [r for r in lines(results) if r["kind"] == "run" and r["round"] == "images"]
    return next(float(r["cpu_seconds"]) for r in done if key_of(r) == key)


def gains(line: Mapping[str, Any], classifier: str) -> list[float]:
    """Returns gain, low and high in points, on all classes."""
    return [100 * value for value in line["scores"]["all classes"][classifier][1:]]


def cell_text(line: Mapping[str, Any]) -> str:
    """Writes "+5.4 [1.2, 9.6]", bold where the interval excludes zero."""
    value, low, high = gains(line, "probe")
    text = f"{value:+.1f} [{low:.1f}, {high:.1f}]"
    return f"**{text}**" if low > 0 or high < 0 else text


def table(found: Mapping[str, Sequence[Mapping[str, Any]]], start: str, part: str) -> list[str]:
    """Returns the rows of a start and a round, the largest mean gain first."""
    rows = []
    for name, of_name in found.items():
        rounds = [
            [r for r in of_name if r["start"] == start and r["round"] == each]
            for each in ("images", part)
        ]
        chosen = {line["set"]: line for each in rounds for line in each}
        if set(chosen) != set(NAMES):
            continue
        probe, knn = (mean(gains(r, c)[0] for r in chosen.values()) for c in ("probe", "knn"))
        cells = [cell_text(chosen[each]) for each in NAMES]
        seconds = mean(line["cpu_seconds"] for line in chosen.values())
        vit = " (ViT)" if next(iter(chosen.values()))["encoder"] == VIT else ""
        row = f"| `{name}`{vit} | {' | '.join(cells)} | {probe:+.1f} | {knn:+.1f} | {seconds:.0f} |"
        rows.append((-probe, row))
    heading = f"| objective | {' | '.join(NAMES)} | mean | kNN | CPU seconds |"
    return [heading, "|---" * 7 + "|", *(row for _, row in sorted(rows)), ""]


def good_for(of_name: Sequence[Mapping[str, Any]]) -> str:
    """Says in a sentence where an objective gained and where it lost, with the same images."""
    parts = []
    for start, words in (("scratch", "random weights"), ("imagenet", "ImageNet weights")):
        lines_of = [r for r in of_name if r["start"] == start and r["round"] == "images"]
        won = [SETS[r["set"]].field for r in lines_of if gains(r, "probe")[1] > 0]
        lost = [SETS[r["set"]].field for r in lines_of if gains(r, "probe")[2] < 0]
        if lines_of:
            gained = f"gains on {' and '.join(won)}" if won else "gains nothing"
            worse = f" and loses on {' and '.join(lost)}" if lost else ""
            parts.append(f"from {words} it {gained}{worse}")
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def page(done: Sequence[Mapping[str, Any]], results: Path) -> str:
    """Returns the text of docs/objectives.md."""
    found = grouped([r for r in done if r["kind"] == "run"], lambda r: r["settings"]["objective"])
    about = {
        "results": results,
        "size": SIZE,
        "batch": BATCH["scratch"],
        "small": BATCH["imagenet"],
    }
    text = [PAGE.format(**about, **IMAGES)]
    titles = {"images": "the same number of images", "time": "the time of SimCLR"}
    for start, words in (("scratch", "random"), ("imagenet", "ImageNet")):
        for part in ROUNDS:
            text += [f"## From {words} weights, {titles[part]}", "", *table(found, start, part)]
    text += [
        "## What each is good for",
        "",
        "| objective | task | in this training |",
        "|---|---|---|",
    ]
    for name in sorted(found):
        summary = objectives.entry(name).summary
        text.append(f"| `{name}` | {summary} | {good_for(found[name])} |")
    return "\n".join([*text, ""])


def main() -> None:
    """Runs what is missing, or writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["run", "table"])
    parser.add_argument("--out", type=Path, default=Path("docs/objectives.jsonl"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--weights",
        type=Path,
        default=Path("../shared/weights/tf_efficientnet_lite0.imagenet.safetensors"),
    )
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no training after it")
    parser.add_argument("--sets", default="", help="names, separated by commas")
    args = parser.parse_args()
    if args.action == "run":
        run(args)
    else:
        (args.out.parent / "objectives.md").write_text(page(lines(args.out), args.out))


if __name__ == "__main__":
    main()
