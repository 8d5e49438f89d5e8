"""Records a training: means of the loss, skipped images, the collapse watch, metrics.jsonl."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from ..core.view import View
from ..data.loader import RawBatch, remark_on_incomplete
from ..data.standardize import Standardize
from .collapse import VIEWS, Watch, cure
from .engine import any_process
from .progress import Progress
from .run import Run
from .setup import Setup
from .skips import Skips
from .tally import Tally

_RECORD_STEPS = 100


class Recorder:
    """Writes what happens in a training to the run folder, and shows it.

    Args:
        run: The run folder.
        setup: The parts of the run.
        progress: Shows what happens.
        accelerator: Tells which process writes.
        standardize: Standardizes views as in training.

    Attributes:
        tally: Means of the loss and of the objective's metrics.
        skips: The unreadable images so far.
        incomplete: Names of the images so far that have pixels without data.
        watch: The collapse watch.
    """

    def __init__(
        self,
        run: Run,
        setup: Setup,
        progress: Progress,
        accelerator: Accelerator,
        standardize: Standardize,
    ) -> None:
        self._run, self._setup, self._progress = run, setup, progress
        self._accelerator = accelerator
        views = (View(setup.config.encoder.image_size),) * VIEWS
        self.watch = Watch(setup.view_dataset(views), setup.pool, standardize)
        self.skips = Skips(run, len(setup.pool), setup.config.data.max_skip)
        self.tally = Tally(run.kept, run.folder)
        self.incomplete: set[str] = set()
        self._waited = 0.0

    def measure_initial(self) -> None:
        """Measures the representation before the first step, which later ones are compared with."""
        measures = self.watch.look(self._setup.objective, self._accelerator.autocast)
        self._warn(self.watch.judge(measures, None, self._setup.encoder.num_features))

    def timed(self, batches: Iterator[RawBatch]) -> Iterator[RawBatch]:
        """Yields the batches, measures how long each is waited for, and lists skipped images."""
        while True:
            start = time.monotonic()
            raw = next(batches)
            self._waited += time.monotonic() - start
            self.skips.note(raw.skipped)
            self.incomplete.update(raw.incomplete)
            yield raw

    def due(self, step: int, steps: int) -> bool:
        """Tells whether to record after a step: every 100 steps, and where an epoch ends."""
        return step % self._setup.steps_per_epoch % _RECORD_STEPS == 0 or step == steps

    def record(self, step: int, steps: int, elapsed: float, lr: float) -> str:
        """Appends a line to metrics.jsonl, and measures the representation where an epoch ends.

        Args:
            step: Steps done.
            steps: Length of the schedule; 0 while it is not known.
            elapsed: Seconds of training.
            lr: Learning rate of the last step.

        Returns:
            The verdict of the collapse watch; "" if it did not measure now.
        """
        self.tally.settle()
        seconds = max(elapsed - self.tally.since, 1e-9)
        per_epoch, batch_size = self._setup.steps_per_epoch, self._setup.batch_size
        means = self.tally.means()
        values: dict[str, Any] = {
            "epoch": step / per_epoch,
            "step": step,
            "lr": lr,
            "images_per_second": self.tally.count * batch_size / seconds,
            "data_wait": self._waited / seconds,
            **means,
        }
        if step == steps or (step % per_epoch == 0 and self._look_now()):
            values |= self._measure(means["loss"])
        if step == steps and self.incomplete:
            self._progress.warn(remark_on_incomplete(self.incomplete))
        self.tally.reset(elapsed)
        self._waited = 0.0
        if self._accelerator.is_main_process:
            self._run.append(self._run.metrics, values)
            self._progress.epoch(values, steps)
        return str(values.get("verdict", ""))

    def _look_now(self) -> bool:
        return any_process(self._accelerator, self.watch.due())  # whose clocks differ

    def _measure(self, loss: float) -> dict[str, Any]:
        best = self.watch.state.best_retrieval
        measures = self.watch.look(self._setup.objective, self._accelerator.autocast)
        verdict = self.watch.judge(measures, loss, self._setup.encoder.num_features)
        if measures["view_retrieval"] > best:
            self.save_encoder(self._run.best)
        self._warn(verdict)
        return {**measures, "verdict": verdict}

    def _warn(self, verdict: str) -> None:
        if verdict != "OK":
            self._progress.warn(f"Collapse watch: {verdict}: {cure(verdict)}.")

    def save_encoder(self, path: Path) -> None:
        """Writes the encoder's weights, in the main process."""
        if self._accelerator.is_main_process:
            weights = self._setup.encoder.body.state_dict()
            self._run.save_weights(path, weights, self._setup.dataset.channels)
