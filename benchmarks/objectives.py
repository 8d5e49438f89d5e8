"""Trains every objective on sets of three fields, and writes what each of them gains.

    python benchmarks/objectives.py run --out docs/objectives.jsonl
    python benchmarks/objectives.py table --out docs/objectives.jsonl

Each line of the file is one training with the default options of its objective: from random
weights (ResNet-18, or a small ViT where the objective needs tokens) and from ImageNet weights. The
encoder is judged on the validation part of the set as benchmarks/defaults.py does. A first round
gives all objectives the same number of images; a second one gives those that were slower or faster
than SimCLR by more than a quarter as many as they see in the time of SimCLR on the same processor.
A training whose line is there is not repeated. `table` writes docs/objectives.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import command_line
import objective_tables
import torch
from command_line import processor
from default_queue import ENCODERS, Cell
from default_runs import SIZE, Run
from defaults import append, judges, lines, trained
from objective_tables import BATCH, IMAGES, ROUNDS, SETS, VIT, key_of

from ssl_kit import SslKitError
from ssl_kit.nn import objectives

REFERENCE = "simclr"
ALIKE = 1 / 4  # of the time; a second training would hardly change more
EXTRA: Mapping[str, Mapping[str, Any]] = {
    "combination": {
        "objective.parts.simclr.weight": 1.0,
        "objective.parts.rotation.weight": 0.5,
    }
}
"""What an objective needs beside its defaults."""


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
    for name in sorted(ours, key=lambda name: name != REFERENCE):
        tokens = "tokens" in objectives[name].needs
        for start, encoder in ENCODERS.items():
            if start == "imagenet" and (tokens or name == "distillation"):
                continue  # there are no weights for the ViT, and the teacher would be the start
            for each in SETS:
                settings = settings_of(name, start, weights)
                yield name, Cell(each, start, "images", settings, VIT if tokens else encoder)


def waiting(done: Sequence[Run], weights: Path) -> Iterator[tuple[str, str, Cell]]:
    """Yields round, objective and training of what is not done.

    SimCLR is trained once on each processor, so that times can be compared.
    """
    now = processor()
    here = {key_of(r) for r in done if r["round"] == "images" and r["processor"] == now}
    known = {(r["round"], *key_of(r)): r for r in done}
    for part in ROUNDS:
        for name, cell in queue(weights):
            key = (name, cell.set, cell.start)
            if part == "images":
                missing = (part, *key) not in known or (name == REFERENCE and key not in here)
            else:
                missing = (part, *key) not in known and abs(relative_time(done, key) - 1) > ALIKE
            if missing:
                yield part, name, cell


def relative_time(done: Sequence[Run], key: tuple[str, str, str]) -> float:
    """Returns the time of an objective in the first round as a multiple of that of SimCLR.

    It is 1 for an objective that was not trained.
    """
    _, name, start = key
    own = [r for r in done if key_of(r) == key and r["round"] == "images" and not r["failed"]]
    if not own:
        return 1.0
    references = {
        r["processor"]: float(r["cpu_seconds"])
        for r in done
        if key_of(r) == (REFERENCE, name, start) and r["round"] == "images"
    }
    return float(own[0]["cpu_seconds"]) / references[own[0]["processor"]]


def asked(cell: Cell, args: argparse.Namespace) -> bool:
    """Returns whether a training is of the sets and the start that were asked for."""
    return cell.set in (args.sets or SETS) and args.start in (None, cell.start)


def run(args: argparse.Namespace) -> None:
    """Works through both rounds."""
    torch.set_num_threads(1)
    end, judge_of = time.monotonic() + 60 * args.minutes, judges(args)
    while time.monotonic() < end:
        done = [line for line in lines(args.out) if line["kind"] == "run"]
        chosen = next((each for each in waiting(done, args.weights) if asked(each[2], args)), None)
        if chosen is None:
            break
        part, name, cell = chosen
        key = (name, cell.set, cell.start)
        images = IMAGES[cell.start] / (relative_time(done, key) if part == "time" else 1)
        judge, stand_on = judge_of(cell.set, cell.encoder), {"encoder.image_size": SIZE}
        words = f"{name}, {cell.set}, {cell.start}, same {part}"
        told = {"objective.weights": args.weights.name} if name == "distillation" else {}
        about = {"settings": {**cell.settings, **told}, "round": part, "processor": processor()}
        try:
            line = trained(cell, judge, str(args.weights), images, stand_on)
        except SslKitError as error:  # the others can still be computed
            if "by a signal" in str(error):
                raise
            append(args.out, {"kind": "run", **vars(cell), **about, "failed": str(error)})
            print(f"failed: {words}: {error}", flush=True)
            continue
        append(args.out, {**line, **about, "failed": ""})
        gain = 100 * line["scores"]["all classes"]["probe"][1]
        print(f"{line['cpu_seconds']:5.0f} s CPU  {gain:+5.1f}  {words}", flush=True)


def main() -> None:
    """Runs what is missing, or writes the page."""
    parser = command_line.parser(__doc__, "docs/objectives.jsonl")
    parser.add_argument("action", choices=["run", "table"])
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no training after it")
    parser.add_argument("--start", choices=[*ENCODERS], help="train from this one only")
    args = parser.parse_args()
    if args.action == "run":
        run(args)
        return
    done = [line for line in lines(args.out) if line["kind"] == "run"]
    text = objective_tables.page(done, args.out, lambda key: relative_time(done, key))
    (args.out.parent / "objectives.md").write_text(text)


if __name__ == "__main__":
    main()
