"""What `tune` gains over the defaults and over the start, on the test parts.

    python benchmarks/tuned.py --budget 15m --out docs/tuned.jsonl
    python benchmarks/defaults.py table --out docs/defaults.jsonl

On each set `tune` searches for the given time on the whole machine, from ImageNet weights and with
all settings at their defaults. What it found is trained, then the defaults for as many epochs, and
the encoders that the two runs hand back are compared with each other and with the start at the
image size that was found. A set whose line is there is left out. The second command writes the
table into docs/defaults.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import command_line
from command_line import processor
from default_queue import BATCH, ENCODER
from default_runs import ALL, FEW_LABELS
from default_sets import ALL_SETS, HOLDOUT, Judge, Scores, plain
from defaults import append, lines

from ssl_kit import load, train, tune


def searched(name: str, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Searches settings on a set, and compares what they give with the defaults and the start."""
    judge = Judge(name, args.data, ENCODER, str(args.weights), on_test=True)
    given = {
        "domain": judge.set.domain,
        "data": judge.folder,
        "init": str(args.weights),
        "encoder": ENCODER,
        "batch_size": min(BATCH, len(judge.known)),
        "holdout": HOLDOUT,
        "precision": "fp32",
        "set": judge.set.options,
    }
    found = tune(**given, budget=args.budget, out=folder / "search")
    tuned = timed(**given, config=found.folder / "config.toml", out=folder / "tuned")
    epochs = tuned[0].config.train.epochs
    kept = found["winner"] == 0  # the same training
    default = tuned if kept else timed(**given, epochs=epochs, out=folder / "default")
    runs = {"tuned": tuned[0], "default": default[0]}
    sizes = {arm: run.config.encoder.image_size for arm, run in runs.items()}
    of_search = judge.scores(load(tuned[0]).model)
    scores = {
        "default": judge.scores(load(default[0]).model),
        "start": judge.of_start("imagenet", sizes["tuned"]),
    }
    told = {
        key: {k: v for k, v in each.items() if k != "init"} for key, each in found["gains"].items()
    }
    return {
        "winner": next(r["changes"] for r in found["candidates"] if r["number"] == found["winner"]),
        "gains": told,  # on the validation groups
        "trials": len([*(found.folder / "trials").glob("*/trial.json")]),
        "epochs": epochs,
        "image_size": sizes,
        "kept": {arm: run.read_json("selection.json")["kept"] for arm, run in runs.items()},
        "training_seconds": {"tuned": tuned[1], "default": default[1]},
        "over": {each: over(of_search, against) for each, against in scores.items()},
    }


def over(scores: Scores, against: Scores) -> dict[str, list[float]]:
    """Returns accuracy, gain, low and high of the probe with few labels and with all."""
    rows = plain(scores, against)
    return {cut: rows[cut]["probe"] for cut in (ALL, FEW_LABELS)}


def timed(**given: Any) -> tuple[Any, int]:
    """Trains, and returns the run and its seconds."""
    began = time.monotonic()
    run = train(**given)
    return run, round(time.monotonic() - began)


def main() -> None:
    """Works through the sets."""
    parser = command_line.parser(__doc__, "docs/tuned.jsonl")
    parser.add_argument("--budget", default="15m", help="time of each search")
    args = parser.parse_args()
    done = {(line["set"], line["budget"]) for line in lines(args.out)}
    for name in args.sets or ALL_SETS:
        if (name, args.budget) in done:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = searched(name, args, Path(folder))
        about = {
            "set": name,
            "field": ALL_SETS[name].field,
            "budget": args.budget,
            "processor": processor(),
        }
        line = {**about, **found, "seconds": round(time.monotonic() - began)}
        append(args.out, line)
        print(line, flush=True)


if __name__ == "__main__":
    main()
