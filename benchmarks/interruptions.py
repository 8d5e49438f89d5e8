"""Interrupts trainings at random moments and compares what is left in the end.

Each training is a process group of its own, and the signal goes to all of it, as Slurm, systemd
and `timeout` do. Interrupted trainings are resumed and interrupted again. Every one must end with
the encoder and the losses of a training that was left alone, without a traceback and without
processes that are left behind.

    python benchmarks/interruptions.py --signal TERM --workers 2 --count 50
"""

from __future__ import annotations

import argparse
import json
import os
import random
import runpy
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import sklearn.model_selection  # noqa: F401  splits images; to be there when processes are forked
from PIL import Image

import ssl_kit

PATIENCE = 120.0  # seconds for a process to end


class Child:
    """A command that runs in a process forked from this one, which has imported everything."""

    def __init__(self, log: Path, *args: str) -> None:
        self._log, self._code = log, None
        self.pid = os.fork()
        with suppress(OSError):  # both set the group, so that it is there for either
            os.setpgid(self.pid, self.pid)
        if self.pid == 0:
            with log.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            sys.argv = ["ssl-kit", *args]
            try:
                runpy.run_module("ssl_kit.cli", run_name="__main__", alter_sys=True)
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except BaseException:  # noqa: BLE001  whatever it is, the child must end here
                sys.excepthook(*sys.exc_info())
                code = 70
            sys.stderr.flush()
            os._exit(code)

    def code(self, seconds: float) -> int | None:
        """Waits for its end; returns the exit code, minus a signal, or None if it still runs."""
        end = time.monotonic() + seconds
        while self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                return None
            else:
                time.sleep(0.002)
        return self._code

    def interrupt(self, number: int) -> None:
        """Sends a signal to the group, and checks that it ends in good order."""
        os.killpg(self.pid, number)
        code = self.code(PATIENCE)
        text = self._log.read_text()
        if code is None or "Traceback" in text or code not in (0, 1, -number):
            sys.exit(f"ended with {code}: {text}")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.01)
        sys.exit("Loading processes are left behind.")


def outcome(run: Path) -> tuple[bytes, list[list[float]]]:
    """Returns what must be the same: the encoder, and the losses and learning rates."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [[row[key] for key in ("step", "loss", "lr")] for row in rows]
    return (run / "encoder.safetensors").read_bytes(), losses


def start(folder: Path, run: str, workers: int) -> Child:
    """Starts a training, or goes on with it."""
    out = folder / run
    if (out / "config.toml").is_file():
        return Child(folder / "log", "train", "--resume", str(out))
    flags = {"domain": "natural", "data": folder / "images", "encoder": "test_resnet",
             "image-size": 32, "batch-size": 8, "epochs": 15, "precision": "fp32",
             "workers": workers, "out": out}  # fmt: skip
    args = [text for flag, value in flags.items() for text in (f"--{flag}", str(value))]
    return Child(folder / "log", "train", *args, "--set", "train.checkpoint_every=0.1")


def finish(child: Child, folder: Path) -> None:
    """Waits for a training, which must come to its end."""
    if child.code(PATIENCE) != 0:
        sys.exit((folder / "log").read_text())


def main() -> None:
    """Interrupts and resumes until there were enough interruptions."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--signal", choices=("KILL", "TERM", "INT", "HUP"), default="TERM")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    number, rng = getattr(signal, f"SIG{options.signal}"), random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "images").mkdir()
        for i, pixels in enumerate(np.random.default_rng(0).integers(0, 255, (24, 40, 40, 3))):
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{i}.png")
        ssl_kit.open_data(domain="natural", data=folder / "images")[0]  # imports what is needed
        ssl_kit.train  # noqa: B018  so does this
        began = time.monotonic()
        finish(start(folder, "whole", options.workers), folder)
        seconds, expected = time.monotonic() - began, outcome(folder / "whole")
        interrupted = runs = 0
        while interrupted < options.count:
            run, child = f"run{runs}", start(folder, f"run{runs}", options.workers)
            while interrupted < options.count and child.code(rng.uniform(0, seconds)) is None:
                child.interrupt(number)
                interrupted += 1
                child = start(folder, run, options.workers)
            finish(child, folder)
            runs += 1
            if outcome(folder / run) != expected:
                sys.exit(f"{run} differs after {interrupted} interruptions")
    print(f"SIG{options.signal}, {options.workers} workers: {interrupted} interruptions of {runs} "
          "trainings; all end with the same bytes")  # fmt: skip


if __name__ == "__main__":
    main()
