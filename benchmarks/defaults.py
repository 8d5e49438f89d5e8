"""Pre-trains many candidates for the defaults of domains, and tabulates how much each gains.

    python benchmarks/defaults.py run --out docs/defaults.jsonl
    python benchmarks/defaults.py table --out docs/defaults.jsonl
    python benchmarks/defaults.py queue --out docs/defaults.jsonl

`run` works through a queue of trainings (set, objective, start, settings, length, seed), and stores
one line for each. A training whose line is there is not repeated, so that it can be ended at any
time and go on later; `--minutes` ends it. The length is a number of images, so that a slow machine
does not change results: "1 minute" is what the encoder trains on in a minute on two cores that do
nothing else. `table` writes docs/defaults.md and docs/label_free.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import command_line
import default_runs
import default_tables
import label_free_tables
import torch
from default_queue import BATCH, ENCODER, IMAGES_A_MINUTE, MINUTES, Cell, queue, rate_of
from default_runs import JUDGED_AT, SIZE, pixels
from default_sets import HOLDOUT, SETS, Judge, plain

from ssl_kit import SslKitError, load, train

LARGER = (96, 128, 192)  # sizes in pixels at which ImageNet weights are judged as well


def below(cell: Cell) -> dict[str, Any]:
    """Returns defaults that a cell's settings stand on, whatever those of the kit become."""
    rate = rate_of(cell.settings["objective"])
    return {
        "encoder.frozen_statistics": False,
        "encoder.image_size": SIZE,
        "optimizer.lr": rate,
    }


def lines(path: Path) -> list[dict[str, Any]]:
    """Reads the results so far; a half-written last line is left out."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Adds a line to the results, whole or not at all."""
    kept = "".join(f"{json.dumps(each, separators=(',', ':'))}\n" for each in [*lines(path), line])
    part = path.with_suffix(".part")
    part.write_text(kept)
    part.replace(path)


def images_of(cell: Cell) -> float:
    """Returns how many images a cell sees; larger ones are as many fewer as they cost more."""
    size = cell.settings.get("encoder.image_size", SIZE)
    return float(MINUTES[cell.length] * IMAGES_A_MINUTE[cell.encoder] * (SIZE / size) ** 2)


def trained(
    cell: Cell, judge: Judge, weights: str, images: float, stand_on: Mapping[str, Any]
) -> dict[str, Any]:
    """Trains a cell, and returns its line.

    Args:
        cell: The training.
        judge: Of its set.
        weights: File of ImageNet weights.
        images: About how many images it sees; a whole number of epochs.
        stand_on: Settings below those of the cell and above the defaults.
    """
    pool = len(judge.parts.train)  # the validation part judges
    epoch = pool // (batch := min(cell.settings.get("train.batch_size", BATCH), pool)) * batch
    epochs = max(1, round(images / epoch))
    own = {key: value for key, value in cell.settings.items() if key != JUDGED_AT}
    apart = {"data.holdout": HOLDOUT, "data.keep_out": "val", "train.keep": "last"}
    began, used = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            domain=judge.set.domain,
            data=judge.folder,
            encoder=cell.encoder,
            init=weights if cell.start == "imagenet" else "scratch",
            epochs=epochs,
            batch_size=batch,
            seed=cell.seed,
            precision="fp32",  # the same on every machine
            workers=0,
            set={**judge.set.options, **stand_on, **own, **apart},
            out=Path(folder) / "run",
        )
        seconds, cpu = time.monotonic() - began, time.process_time() - used
        measured = watched(run)
        size = pixels(vars(cell))
        scores = judge.scores(replace(load(run).model, image_size=size))
    return {
        "kind": "run",
        **vars(cell),
        "field": judge.set.field,
        "lr": run.config.optimizer.lr,
        "images": epochs * epoch,
        "epochs": epochs,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        **measured,
        "scores": plain(scores, judge.of_start(cell.start, size)),
    }


def watched(run: Any) -> dict[str, Any]:
    """Returns the last loss of a run, and what the collapse watch found before and after it."""
    after = run.lines(run.metrics)[-1]
    before = (run.load_checkpoint() or {"watch": {"initial": {}}})["watch"]["initial"]
    return {
        "loss": round(after["loss"], 4),
        "verdict": after["verdict"],
        "before": {name: float(f"{value:.4g}") for name, value in before.items()},
        "after": {name: float(f"{after[name]:.4g}") for name in before},
    }


def references(name: str, judge: Judge, encoder: str) -> list[dict[str, Any]]:
    """Returns the lines of the untouched starts of a set."""
    sizes = {"train": len(judge.parts.train), "val": len(judge.parts.val)}
    groups = len(set(judge.index.groups[judge.parts.val].tolist()))
    starts = [("imagenet", size) for size in (SIZE, *LARGER)]
    others = [("scratch", SIZE), ("descriptors", SIZE)]
    return [
        {
            "kind": "start",
            "set": name,
            "field": judge.set.field,
            "start": start,
            "size": size,
            "encoder": encoder,
            "hard": list(judge.hard),
            "images": {**sizes, "val groups": groups},
            "scores": plain(judge.of_start(start, size)),
        }
        for start, size in (*starts, *others)
        if encoder == ENCODER or start == "scratch"
    ]


def judges(args: argparse.Namespace) -> Callable[[str, str], Judge]:
    """Returns what makes the judge of a set and an encoder, once, and notes what starts know."""

    @cache
    def judge_of(name: str, encoder: str) -> Judge:
        judge = Judge(name, args.data, encoder, str(args.weights))
        known = {(r["set"], r["encoder"]) for r in lines(args.out) if r["kind"] == "start"}
        if (name, encoder) not in known:
            for line in references(name, judge, encoder):
                append(args.out, line)
        return judge

    return judge_of


def run(args: argparse.Namespace) -> None:
    """Works through the queue."""
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * args.minutes

    judge_of = judges(args)
    failed = set[str]()
    while left := [cell for cell in waiting(args) if cell.key not in failed]:
        cell = left[0]
        if time.monotonic() > end:
            break
        try:
            given = (judge_of(cell.set, cell.encoder), str(args.weights))
            line = trained(cell, *given, images_of(cell), below(cell))
        except SslKitError as error:  # the others can still be computed
            if "by a signal" in str(error):
                raise
            failed.add(cell.key)
            print(f"failed: {cell.key}: {error}", flush=True)
            continue
        append(args.out, line)
        gain = 100 * line["scores"]["all classes"]["probe"][1]
        print(f"{line['cpu_seconds']:5.0f} s CPU  {gain:+5.1f}  {cell.key}", flush=True)


def waiting(args: argparse.Namespace) -> list[Cell]:
    """Returns the cells of the queue that are not done, without candidates that are out."""
    names = Cell.__dataclass_fields__
    runs = [line for line in lines(args.out) if line["kind"] == "run"]
    done = {Cell(**{name: run[name] for name in names}).key for run in runs}
    out = {default_runs.candidate(run) for run in runs if default_runs.hurts(run)}
    chosen = args.sets or SETS
    cells = {cell.key: cell for cell in queue()}
    return [
        each
        for key, each in cells.items()
        if key not in done
        and each.set in chosen
        and args.start in (None, each.start)
        and args.length in (None, each.length)
        and default_runs.candidate({**vars(each), "field": SETS[each.set].field}) not in out
    ]


def main() -> None:
    """Runs the queue, lists what is left of it, or writes the pages."""
    parser = command_line.parser(__doc__, "docs/defaults.jsonl")
    parser.add_argument("action", choices=["run", "queue", "table"])
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no training after it")
    parser.add_argument("--start", choices=["imagenet", "scratch"], help="train from this one only")
    parser.add_argument("--length", choices=[*MINUTES], help="train for this length only")
    args = parser.parse_args()
    if args.action == "run":
        run(args)
    elif args.action == "queue":
        print("\n".join(cell.key for cell in waiting(args)))
    else:
        results, others = lines(args.out), lines(args.out.with_name("objectives.jsonl"))
        pages = {
            "defaults.md": default_tables.defaults_page(results, args.out),
            "label_free.md": label_free_tables.label_free_page([*results, *others], args.out),
        }
        for name, text in pages.items():
            (args.out.parent / name).write_text(text.rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
