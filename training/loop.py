"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import islice

import torch

from ..core.errors import RunError
from ..core.objective import Batch
from ..data.loader import RawBatch, choose_workers, fits_in_memory, load
from ..data.order import Stream
from ..data.process import seeded
from ..data.standardize import Standardize, to_batch
from ..nn.batch_norm import sync_batch_norm
from .checkpoint import Checkpoint
from .collapse import cure
from .engine import agreed, any_process, make_accelerator, stop_signals
from .manifest import describe
from .optim import learning_rate, make_optimizer, set_weight_decay, weight_decay
from .progress import Progress
from .recorder import Recorder
from .run import Run
from .schedule import Schedule
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
            self.settings.precision,
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
        self.step, self.elapsed, self.stop_signal = 0, 0.0, 0
        self.saved_at = time.monotonic()

    def fit(self) -> str:
        """Trains until the schedule ends.

        Returns:
            The last verdict of the collapse watch.

        Raises:
            RunError: If the loss is not finite, too many images are unreadable, the features
                collapse and that is to stop the run, or a signal asks to stop.
        """
        self.resume()
        self.saved_at = time.monotonic()
        started = self.saved_at - self.elapsed
        if self.step == 0:
            self.recorder.measure_initial()
        batches = self.recorder.timed(self._batches())
        while not self.schedule.steps or self.step < self.schedule.steps:
            for raw in islice(batches, self.settings.accumulate):
                self.train_on(to_batch(raw, self.setup.dataset, self.standardize))
            self.step += 1
            self.setup.objective.after_step(self.step, self.schedule.provisional)
            self.elapsed = time.monotonic() - started
            if self._any(self.schedule.measured(self.step)):
                self.schedule.steps = agreed(self.schedule.propose(self.step, self.elapsed))
            if self.recorder.due(self.step, self.schedule.steps):
                self._record()
            self.progress.step(self.step, self.schedule.steps, self.settings.max_time, self.elapsed)
            self._save_or_stop()
        self.save()
        return self.recorder.watch.state.verdict

    def train_on(self, batch: Batch) -> None:
        """Takes the optimizer step of a batch, or one for each of the objective's phases.

        Where batches are accumulated, the last one of a step takes it.
        """
        objective, optimizer = self.setup.objective, self.setup.config.optimizer
        steps = self.schedule.provisional
        lr = learning_rate(self.step, steps, optimizer, self.setup.images_per_step)
        set_weight_decay(self.optimizer, weight_decay(self.step, steps, optimizer))
        for phase in range(objective.phases):
            output = self.take_step(lr, partial(self.model, batch, phase))
        self.recorder.tally.add(output, batch.keys, self.step + 1)

    def save(self) -> None:
        """Writes the checkpoint and the encoder so far."""
        self.recorder.tally.settle()
        self.checkpoint.save(step=self.step, steps=self.schedule.steps, elapsed=self.elapsed)
        self.recorder.save_encoder(self.run.encoder)

    def resume(self) -> None:
        """Continues from the last checkpoint, if there is one."""
        state = self.checkpoint.load()
        if self.accelerator.is_main_process:
            self.run.truncate_metrics(state["step"] if state else -1)
        if state:
            self.step, self.elapsed = state["step"], state["elapsed"]
            self.schedule = Schedule(self.settings, self.setup.steps_per_epoch, state["steps"])
            self.recorder.elapsed = self.elapsed

    def _batches(self) -> Iterator[RawBatch]:
        setup, accelerator = self.setup, self.accelerator
        rank, processes = accelerator.process_index, accelerator.num_processes
        size, seed, parts = setup.batch_size, setup.config.seed, self.settings.accumulate
        order = Stream(setup.pool, size, seed, self.step * parts, rank, processes, parts)
        workers = choose_workers(self.settings.workers)
        keep = fits_in_memory(setup.dataset, setup.pool, workers * processes)
        views = setup.view_dataset(setup.views, setup.config.data.pair_by, keep)
        return load(views, order, workers, pin=accelerator.device.type == "cuda")

    def _record(self) -> None:
        lr = self.optimizer.param_groups[0]["lr"]
        verdict = self.recorder.record(self.step, self.schedule.steps, self.elapsed, lr)
        if verdict == "COLLAPSED" and self.settings.on_collapse == "stop":
            self.save()
            raise RunError(f"Stopped because the features collapsed: {cure('COLLAPSED')}.")

    def _save_or_stop(self) -> None:
        late = time.monotonic() - self.saved_at > self.settings.checkpoint_every
        if self._any(late or bool(self.stop_signal)):
            self.save()
            self.saved_at = time.monotonic()
        if self._any(bool(self.stop_signal)):
            raise RunError(
                f"Stopped by a signal after step {self.step}. Go on with "
                f"'ssl-kit train --resume {self.run.folder}'."
            )

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
    progress.start(setup)
    trainer = Trainer(run, setup, progress)
    main = trainer.accelerator.is_main_process
    if main:
        describe(run, setup, {})
    seed = run.config.seed + trainer.accelerator.process_index
    with seeded(seed), stop_signals(trainer.stop), progress:
        verdict = trainer.fit()
    if main:
        describe(
            run,
            setup,
            {
                "steps": trainer.step,
                "seconds": round(trainer.elapsed, 1),
                "skipped": len(trainer.recorder.skips.keys),
                "verdict": verdict,
            },
        )
    trainer.accelerator.wait_for_everyone()  # the files are complete
    return verdict
