"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch

from ..core.errors import RunError, SslKitError
from ..core.objective import Batch
from ..data.loader import RawBatch, fits_in_memory, load
from ..data.order import Stream
from ..data.process import seeded
from ..data.standardize import Standardize, to_batch
from ..data.workers import WorkerDied, choose_workers
from ..nn.batch_norm import sync_batch_norm
from .checkpoint import Checkpoint
from .collapse import COLLAPSED, cure
from .engine import Stopped, agreed, any_process, make_accelerator, process_index, stop_signals
from .locks import exclusive
from .manifest import describe
from .optim import learning_rate, make_optimizer, set_weight_decay, weight_decay
from .precision import choose_precision
from .progress import Progress
from .recorder import Recorder
from .run import Run
from .schedule import Schedule
from .selection import Selection
from .setup import Setup
from .step import TrainingStep


class Trainer:
    """Trains one run to its end.

    Args:
        run: The folder to write to.
        setup: What `build` made from the run's configuration.
        progress: Shows what happens.

    Attributes:
        step: Number of optimizer steps taken.
        elapsed: Seconds of training, those before a resume included.
        stop_signal: A signal that asks to stop; 0 if there was none.
    """

    def __init__(self, run: Run, setup: Setup, progress: Progress) -> None:
        self.run, self.setup, self.progress = run, setup, progress
        self.settings, objective = setup.config.train, setup.objective
        self.accelerator = make_accelerator(
            choose_precision(self.settings.precision, objective),
            self.settings.accumulate,
            partial=bool(objective.needs) or objective.phases > 1,
        )
        device = self.accelerator.device
        if self.accelerator.num_processes > 1:
            sync_batch_norm(objective, device)
        self.model, self.optimizer = self.accelerator.prepare(
            objective.to(memory_format=torch.channels_last),
            make_optimizer(objective, setup.config.optimizer),
        )
        self.take_step = TrainingStep(
            self.model, self.optimizer, setup.config.optimizer.clip, self.accelerator
        )
        self.standardize = Standardize(setup.statistics.mean, setup.statistics.std, device)
        self.schedule = Schedule(self.settings, setup.steps_per_epoch)
        self.recorder = Recorder(run, setup, progress, self.accelerator, self.standardize)
        self.checkpoint = Checkpoint(
            run,
            self.accelerator,
            objective,
            optimizer=self.optimizer,
            tally=self.recorder.tally,
            watch=self.recorder.watch,
        )
        self.selection = Selection(run, setup, self.accelerator, self.standardize)
        self.step, self.elapsed, self.stop_signal = 0, 0.0, 0
        self.began = self.saved_at = time.monotonic()
        self.measuring = 0.0

    def fit(self) -> str:
        """Trains until the schedule ends.

        Returns:
            The last verdict of the collapse watch.

        Raises:
            RunError: If the loss is not finite, too many images are unreadable, the features
                collapse and that is to stop the run, or a signal asks to stop.
        """
        self.selection.begin()  # the encoder has its first weights
        self.resume()
        self._measure_initial()
        batches = self.recorder.timed(self._batches())
        while not self.ended:
            began = time.monotonic()
            for part in range(self.settings.accumulate):
                raw = self._next(batches, whole=part == 0)
                self.train_on(to_batch(raw, self.setup.dataset, self.standardize))
            self.step = self.run.steps = self.step + 1
            self.setup.objective.after_step(self.step, self.schedule.length(self.step))
            self.schedule.measured(time.monotonic() - began)
            done = self.schedule.progress
            self.selection.note(done(self.step - 1), done(self.step))
            self._correct_schedule()
            steps = self.schedule.known_steps(self.step)
            if self.recorder.due(self.step, steps):
                self._record(steps)
            self.progress.step(self.step, steps, self.settings.max_time, self._now())
            self._save_or_stop()
        self.save()
        self.selection.finish(self.step)
        self._now()
        return self.recorder.watch.state.verdict

    def _measure_initial(self) -> None:
        """Measures the representation before the first step, and what the end will take."""
        started = time.monotonic()
        self.began = started - self.elapsed
        if self.step == 0:
            self.recorder.measure_initial()
            self.recorder.tally.since = self._now()
        self.saved_at = time.monotonic()
        self.measuring = self.saved_at - started
        if self.settings.max_time is not None:
            per_image = self.measuring / self.recorder.watch.images if self.step == 0 else None
            self.measuring += self.selection.seconds(self.settings.max_time, per_image)
        self.schedule.closing = self.measuring

    @property
    def ended(self) -> bool:
        """Whether all steps of the schedule are taken."""
        return self.step >= self.schedule.steps(self.step)

    def _now(self) -> float:
        """Returns the seconds of training, those before a resume included."""
        self.elapsed = time.monotonic() - self.began
        return self.elapsed

    def _next(self, batches: Iterator[RawBatch], whole: bool) -> RawBatch:
        """Returns the next batch; if there is none, the steps taken are saved.

        Args:
            batches: The batches.
            whole: Whether no part of a step has been taken, which could not be saved.
        """
        try:
            return next(batches)
        except SslKitError as error:
            alone = self.accelerator.num_processes == 1  # others would not save with this one
            if self.step and alone and whole:
                self.save()
            if isinstance(error, WorkerDied):
                raise RunError(
                    f"{error} Change '{self.run.folder / 'config.toml'}', and go on with "
                    f"'ssl-kit train --resume {self.run.folder}'."
                ) from error
            raise

    def _correct_schedule(self) -> None:
        if self.settings.max_time is None:
            return
        steps = self.schedule.correction(self.step, self._now())
        if self._any(bool(steps)) and (steps := agreed(steps)):
            self._change_schedule(steps)

    def _change_schedule(self, steps: int) -> None:
        self.schedule.change(self.step, steps, self.elapsed)
        if self.accelerator.is_main_process:
            change = {"step": self.step, "steps": steps, "seconds": round(self.elapsed, 1)}
            self.run.append(self.run.schedule, change)

    def train_on(self, batch: Batch) -> None:
        """Takes the optimizer step of a batch, or one for each of the objective's phases.

        Where batches are accumulated, the last one of a step takes it.
        """
        phases, optimizer = range(self.setup.objective.phases), self.setup.config.optimizer
        steps = self.schedule.length(self.step, coming=True)
        lr = learning_rate(self.step, steps, optimizer, self.setup.images_per_step)
        set_weight_decay(self.optimizer, weight_decay(self.step, steps, optimizer))
        outputs = [self.take_step(lr, partial(self.model, batch, phase)) for phase in phases]
        self.recorder.tally.add(outputs, batch.keys, self.step + 1)

    def save(self) -> None:
        """Writes the checkpoint and the encoder so far."""
        self.recorder.tally.settle()
        plan = [change for change in self.schedule.changes if change[0] <= self.step]
        self.checkpoint.save(step=self.step, schedule=plan, elapsed=self._now())
        if not self.selection.facts:
            self.recorder.save_encoder(self.run.encoder)

    def resume(self) -> None:
        """Continues from the last checkpoint, if there is one."""
        if self.accelerator.is_main_process:
            self.run.repair_lines()
        state = self.checkpoint.load() or {"step": 0, "schedule": [], "elapsed": 0.0}
        self.step, self.elapsed = state["step"], state["elapsed"]
        recorded = [(line["step"], line["steps"]) for line in self.run.lines(self.run.schedule)]
        later = [change for change in recorded if change[0] >= self.step]
        plan = [*state["schedule"], *later]
        self.schedule = Schedule(self.settings, self.setup.steps_per_epoch, plan)
        self.schedule.repeated_until = self.run.last_step
        self.accelerator.wait_for_everyone()  # all have read the files
        if self.accelerator.is_main_process:
            self.run.truncate_metrics(self.step)
        if steps := self.schedule.asked(self.step):
            self._change_schedule(steps)
        if self.step:
            self.progress.resumed(self.step, self.ended)

    def _batches(self) -> Iterator[RawBatch]:
        setup, accelerator = self.setup, self.accelerator
        rank, processes = accelerator.process_index, accelerator.num_processes
        size, seed, parts = setup.batch_size, setup.config.seed, self.settings.accumulate
        order = Stream(setup.pool, size, seed, self.step * parts, rank, processes, parts)
        workers = choose_workers(self.settings.workers)
        keep = fits_in_memory(setup.dataset, setup.pool, workers * processes)
        views = setup.view_dataset(setup.views, setup.config.data.pair_by, keep)
        return load(views, order, workers, pin=accelerator.device.type == "cuda")

    def _record(self, steps: int) -> None:
        group = self.optimizer.param_groups[0]
        lr = group["lr"] / group.get("lr_scale", 1.0)
        verdict = self.recorder.record(self.step, steps, self._now(), lr)
        if self._any(verdict == COLLAPSED) and self.settings.on_collapse == "stop":
            self.save()
            raise RunError(f"Stopped because the features collapsed: {cure(COLLAPSED)}.")

    def _save_or_stop(self) -> None:
        late = self.checkpoint.is_due(self.saved_at, self.settings.checkpoint_every)
        stop = self._any(bool(self.stop_signal)) and not self.ended
        if stop or self._any(late):
            began = time.monotonic()
            self.save()
            self.saved_at = time.monotonic()
            self.schedule.closing = self.measuring + self.saved_at - began
        if stop:
            raise Stopped(
                f"Stopped by a signal after step {self.step}. Go on with "
                f"'ssl-kit train --resume {self.run.folder}'."
            )

    @property
    def outcome(self) -> dict[str, Any]:
        """What the manifest says of a training that has ended."""
        return {
            "steps": self.step,
            "epochs": round(self.step / self.setup.steps_per_epoch, 2),
            "schedule": self.schedule.changes,
            "seconds": round(self.elapsed, 1),
            "skipped": len(self.recorder.skips.keys),
            "verdict": self.recorder.watch.state.verdict,
            "kept": self.selection.kept,
        }

    def _any(self, flag: bool) -> bool:
        return any_process(self.accelerator, flag)

    def stop(self, number: int) -> None:
        """Ends the run in good order, after the step under way."""
        self.stop_signal = number


def train(run: Run, setup: Setup, progress: Progress) -> str:
    """Trains a run from its configuration, or from its last checkpoint, to the end.

    Torch's random state is afterwards what it was before.

    Args:
        run: A created or interrupted run.
        setup: What `build` made from the run's configuration.
        progress: Shows what happens.

    Returns:
        The verdict of the collapse watch.
    """
    main = process_index() == 0
    with exclusive(run.folder) if main else nullcontext():
        progress.start(setup)
        trainer = Trainer(run, setup, progress)
        if main:
            describe(run, setup, {})
        seed = run.config.seed + trainer.accelerator.process_index
        with seeded(seed), stop_signals(trainer.stop), progress:
            verdict = trainer.fit()
        if main:
            describe(run, setup, trainer.outcome)
        trainer.accelerator.wait_for_everyone()  # the files are complete
    if trainer.step < trainer.schedule.longest:
        progress.warn(
            f"--max-time ended the training after {trainer.outcome['epochs']:g} of "
            f"{setup.config.train.epochs:g} epochs."
        )
    return verdict
