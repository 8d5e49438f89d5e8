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
from default_queue import BATCH, ENCODER
from default_runs import ALL, FEW_LABELS
from default_sets import HOLDOUT, SETS, Judge, plain
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
        "workers": 0,
        "precision": "fp32",
        "set": judge.set.options,
    }
    found = tune(**given, budget=args.budget, out=folder / "search")
    tuned, of_tuned = timed(**given, config=found.folder / "config.toml", out=folder / "tuned")
    epochs = tuned.config.train.epochs
    default, of_default = timed(**given, epochs=epochs, out=folder / "default")
    size = default.config.encoder.image_size
    scores = {
        "default": judge.scores(load(default).model),
        "start": judge.of_start("imagenet", size),
    }
    of_search = judge.scores(load(tuned).model)
    said = str(found).partition("Winner: ")[2].splitlines()
    return {
        "winner": said[0],
        "said": said[1:3],
        "trials": len([*(found.folder / "trials").iterdir()]),
        "epochs": epochs,
        "image_size": {"tuned": tuned.config.encoder.image_size, "default": size},
        "cpu_seconds": {"tuned": of_tuned, "default": of_default},
        "over": {
            each: {
                cut: row["probe"]
                for cut, row in plain(of_search, against).items()
                if cut in (ALL, FEW_LABELS)
            }
            for each, against in scores.items()
        },
    }


def timed(**given: Any) -> tuple[Any, int]:
    """Trains, and returns the run and its seconds of the processor."""
    began = time.process_time()
    run = train(**given)
    return run, round(time.process_time() - began)


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
            found = searched(name, args, Path(folder))
        about = {"set": name, "field": SETS[name].field, "budget": args.budget}
        line = {**about, **found, "seconds": round(time.monotonic() - began)}
        append(args.out, line)
        print(line, flush=True)


if __name__ == "__main__":
    main()
