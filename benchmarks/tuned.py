"""What `tune` gains over the defaults and over the start, on the test parts.

    python benchmarks/tuned.py --budget 15m --out docs/tuned.jsonl
    python benchmarks/defaults.py table --out docs/defaults.jsonl

On each set `tune` searches for the given time on one core, from ImageNet weights and with all
settings at their defaults. What it found is trained, then the defaults for as many epochs, and the
encoders that the two runs hand back are compared with each other and with the start. A set whose
line is there is left out. The second command writes the table into docs/defaults.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from default_sets import HOLDOUT, SETS
from defaults import append, lines
from handed_back import Comparison

from ssl_kit import tune


def searched(comparison: Comparison, budget: str) -> dict[str, Any]:
    """Searches settings, and compares what they give with the defaults and the start."""
    batch, _ = comparison.batches()
    found = tune(
        **comparison.given,
        batch_size=batch,
        holdout=HOLDOUT,
        budget=budget,
        set=comparison.set.options,
        out=comparison.folder / "search",
    )
    seconds, runs = {}, {}
    for name in ("tuned", "default"):
        given: dict[str, Any] = {"config": found.folder / "config.toml"}
        if name == "default":
            train_settings = runs["tuned"].config.train
            given = {"epochs": train_settings.epochs, "batch_size": batch}
        began = time.process_time()
        runs[name] = comparison.train(name, **given)
        seconds[name] = round(time.process_time() - began)
    text = str(found).partition("Winner: ")[2].splitlines()
    return {
        "winner": text[0],
        "said": text[1:3],
        "trials": len([*(found.folder / "trials").iterdir()]),
        "epochs": runs["tuned"].config.train.epochs,
        "image_size": {name: run.config.encoder.image_size for name, run in runs.items()},
        "cpu_seconds": seconds,
        **comparison.differences(runs["tuned"].folder, runs["default"].folder, "start"),
    }


def main() -> None:
    """Works through the sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/tuned.jsonl"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--weights",
        type=Path,
        default=Path("../shared/weights/tf_efficientnet_lite0.imagenet.safetensors"),
    )
    parser.add_argument("--budget", default="15m", help="time of each search")
    parser.add_argument("--sets", default="", help="names, separated by commas")
    args = parser.parse_args()
    torch.set_num_threads(1)
    done = {(line["set"], line["budget"]) for line in lines(args.out)}
    for name in args.sets.split(",") if args.sets else SETS:
        if (name, args.budget) in done:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            comparison = Comparison(name, args.data, str(args.weights), Path(folder))
            found = searched(comparison, args.budget)
        about = {"set": name, "field": SETS[name].field, "budget": args.budget}
        line = {**about, **found, "seconds": round(time.monotonic() - began)}
        append(args.out, line)
        print(line, flush=True)


if __name__ == "__main__":
    main()
