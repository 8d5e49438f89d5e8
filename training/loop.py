"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object

from ..core.errors import RunError, UsageError
from ..core.objective import Batch, Output, TrainingInfo
from ..core.view import View
from ..data.loader import RawBatch, ViewDataset, choose_workers, fits_in_memory, load
from ..data.opening import partners_of
from ..data.order import Stream
from ..data.standardize import Standardize, to_batch
from ..data.views import Renderer
from ..nn.distributed import sync_batch_norm
from .collapse import VIEWS, Watch, cure
from .engine import agreed, any_process, divide_batch, make_accelerator, stop_signals
from .manifest import describe
from .optim import learning_rate, make_optimizer, set_learning_rate
from .progress import Progress
from .run import Run
from .schedule import Plan
from .setup import Setup
from .skips import Skips
from .tally import Tally

_RECORD_STEPS = 100


class Trainer:
    """Trains one run to its end.

    Args:
        run: The folder to write to.
        setup: What `build` made from the run's configuration.
        progress: Shows what happens.

    Attributes:
        step: Batches done.
        elapsed: Seconds of training, those before a resume included.
        skips: The unreadable images met so far.
        stop_signal: A signal that asks to stop; 0 if there was none.
    """

    def __init__(self, run: Run, setup: Setup, progress: Progress) -> None:
        self.run, self.setup, self.progress = run, setup, progress
        self.config = setup.config
        settings = self.config.train
        self.accelerator = make_accelerator(
            settings.precision,
            settings.accumulate,
            partial=bool(setup.objective.needs) or setup.objective.phases > 1,
        )
        if settings.accumulate > 1 and setup.objective.phases > 1:
            raise UsageError(
                f"'{self.config.objective.name}' takes several steps a batch, which cannot be "
                "accumulated. Leave out train.accumulate."
            )
        processes = self.accelerator.num_processes
        self.batch_size = divide_batch(settings.batch_size, len(setup.pool), processes)
        if processes > 1:
            sync_batch_norm(setup.objective)
        self.per_epoch = len(setup.pool) // self.batch_size
        seen = setup.statistics
        setup.objective.prepare(
            TrainingInfo(len(setup.dataset), self.per_epoch, tuple(seen.mean), tuple(seen.std))
        )
        self.model, self.optimizer = self.accelerator.prepare(
            setup.objective.to(memory_format=torch.channels_last),
            make_optimizer(setup.objective, self.config.optimizer),
        )
        self.standardize = Standardize(
            setup.statistics.mean, setup.statistics.std, self.accelerator.device
        )
        same = (View(self.config.encoder.image_size),) * VIEWS
        self.watch = Watch(self._views(same), setup.pool, self.standardize)
        self.plan = Plan(self.config.train, self.per_epoch)
        self.tally = Tally()
        self.step, self.elapsed, self.stop_signal = 0, 0.0, 0
        self.skips = Skips(run, len(setup.pool), self.config.data.max_skip)
        self._waited = self._recorded_at = 0.0

    def fit(self) -> str:
        """Trains until the schedule ends.

        Returns:
            The last verdict of the collapse watch.

        Raises:
            RunError: If the loss is not finite, too many images are unreadable, the features
                collapse and that is to stop the run, or a signal asks to stop.
        """
        self.resume()
        saved_at = time.monotonic()
        started = saved_at - self.elapsed
        if self.step == 0:
            self.watch.judge(
                self.watch.look(self.setup.objective, self.accelerator.autocast),
                None,
                self.setup.encoder.num_features,
            )
        batches = self._batches()
        while not self.plan.steps or self.step < self.plan.steps:
            waiting = time.monotonic()
            raw = next(batches)
            self._waited += time.monotonic() - waiting
            self.skips.note(raw.skipped)
            self.train_on(to_batch(raw, self.setup.dataset, self.standardize))
            self.elapsed = time.monotonic() - started
            if self._any(self.plan.measured(self.step)):
                self.plan.steps = agreed(self.plan.propose(self.step, self.elapsed))
            if self._at_record():
                self.record()
            self.progress.step(self.step, self.plan.steps, self.config.train.max_time, self.elapsed)
            late = time.monotonic() - saved_at > self.config.train.checkpoint_every
            whole = self.accelerator.sync_gradients  # half an accumulated step cannot be saved
            if whole and self._any(late or bool(self.stop_signal)):
                self.save()
                saved_at = time.monotonic()
            if whole and self._any(bool(self.stop_signal)):
                raise RunError(
                    f"Stopped by a signal after step {self.step}. Go on with "
                    f"'ssl-kit train --resume {self.run.folder}'."
                )
        self.save()
        return self.watch.state.verdict

    def train_on(self, batch: Batch) -> None:
        """Takes the optimizer step of a batch, or its several phases."""
        steps, optimizer = self.plan.provisional, self.config.optimizer
        set_learning_rate(
            self.optimizer, learning_rate(self.step, steps, optimizer, self.batch_size)
        )
        for phase in range(self.setup.objective.phases):
            with self.accelerator.accumulate(self.model):
                output: Output = self.model(batch, phase)
                self.accelerator.backward(output.loss)
                if optimizer.clip and self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.model.parameters(), optimizer.clip)
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.accelerator.sync_gradients:
            self.setup.objective.after_step(self.step, steps)
        self.tally.add(output, batch.keys, self.step)

    def record(self) -> None:
        """Appends a line to metrics.jsonl, and lets the watch judge where an epoch ends."""
        self.tally.settle()
        seconds = max(self.elapsed - self._recorded_at, 1e-9)
        means = self.tally.means()
        values: dict[str, Any] = {
            "epoch": self.step / self.per_epoch,
            "step": self.step,
            "lr": self.optimizer.param_groups[0]["lr"],
            "images_per_second": self.tally.count * self.batch_size / seconds,
            "data_wait": self._waited / seconds,
            **means,
        }
        at_end = self.step % self.per_epoch == 0 and self.watch.due()
        if at_end or self.step == self.plan.steps:
            values |= self._watch(means["loss"])
        self.tally.reset()
        self._recorded_at, self._waited = self.elapsed, 0.0
        if self.accelerator.is_main_process:
            self.run.append(self.run.metrics, values)
            self.progress.epoch(values, self.plan.steps)
        if values.get("verdict") == "COLLAPSED" and self.config.train.on_collapse == "stop":
            self.save()
            raise RunError(f"Stopped because the features collapsed: {cure('COLLAPSED')}.")

    def save(self) -> None:
        """Writes the checkpoint and the encoder so far."""
        self.tally.settle()
        rng = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
        rngs = gather_object([rng])
        if not self.accelerator.is_main_process:
            return
        self.run.save_checkpoint(
            {
                "objective": self.setup.objective.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "tally": self.tally.state_dict(),
                "watch": self.watch.state_dict(),
                "rng": rngs,
                "step": self.step,
                "steps": self.plan.steps,
                "elapsed": self.elapsed,
            }
        )
        self._save_encoder(self.run.encoder)

    def resume(self) -> None:
        """Takes up the last checkpoint, if there is one."""
        state = self.run.load_checkpoint()
        if self.accelerator.is_main_process:
            self.run.truncate_metrics(state["step"] if state else -1)
        if state is None:
            return
        try:
            self.setup.objective.load_state_dict(state["objective"])
        except RuntimeError as error:
            raise RunError(
                f"The checkpoint '{self.run.last}' is of another encoder or objective than "
                "config.toml says. Restore config.toml, or delete the checkpoint to start anew."
            ) from error
        self.optimizer.load_state_dict(state["optimizer"])
        self.tally.load_state_dict(state["tally"])
        self.watch.load_state_dict(state["watch"])
        rng = state["rng"][self.accelerator.process_index]
        torch.set_rng_state(rng["cpu"])
        if rng["cuda"]:
            torch.cuda.set_rng_state_all(rng["cuda"])
        self.step, self.elapsed = state["step"], state["elapsed"]
        self.plan = Plan(self.config.train, self.per_epoch, state["steps"])
        self._recorded_at = self.elapsed

    def _views(self, views: tuple[View, ...], pair_by: str = "", keep: bool = False) -> ViewDataset:
        setup, seed = self.setup, self.config.seed
        renderer = Renderer(setup.domain.policies, views, setup.dataset.channels, seed)
        partners = partners_of(setup.domain, setup.dataset, pair_by)
        return ViewDataset(setup.dataset, setup.pool, renderer, partners, seed, keep)

    def _batches(self) -> Iterator[RawBatch]:
        objective, accelerator = self.setup.objective, self.accelerator
        requests = objective.views(objective.config, self.config.encoder.image_size)
        order = Stream(
            self.setup.pool,
            self.batch_size,
            self.config.seed,
            self.step,
            accelerator.process_index,
            accelerator.num_processes,
        )
        workers = choose_workers(self.config.train.workers)
        keep = fits_in_memory(
            self.setup.dataset, self.setup.pool, workers * accelerator.num_processes
        )
        views = self._views(requests, self.config.data.pair_by, keep)
        pin = accelerator.device.type == "cuda"
        return load(views, order, workers, pin)

    def _at_record(self) -> bool:
        in_epoch = self.step % self.per_epoch
        return in_epoch % _RECORD_STEPS == 0 or self.step == self.plan.steps

    def _watch(self, loss: float) -> dict[str, Any]:
        best = self.watch.state.best_rank
        measures = self.watch.look(self.setup.objective, self.accelerator.autocast)
        verdict = self.watch.judge(measures, loss, self.setup.encoder.num_features)
        if measures["rankme_centered"] > best and self.accelerator.is_main_process:
            self._save_encoder(self.run.best)
        if verdict != "OK":
            self.progress.warn(f"Collapse watch: {verdict}: {cure(verdict)}.")
        return {**measures, "verdict": verdict}

    def _save_encoder(self, path: Path) -> None:
        encoder = self.setup.encoder
        self.run.save_weights(path, encoder.body.state_dict(), self.setup.dataset.channels)

    def _any(self, flag: bool) -> bool:
        return any_process(self.accelerator, flag)

    def stop(self, number: int) -> None:
        """Ends the run in good order, after the step under way."""
        self.stop_signal = number


def train(run: Run, setup: Setup, progress: Progress) -> str:
    """Trains a run from its configuration, or from its last checkpoint, to the end.

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
    torch.manual_seed(run.config.seed + trainer.accelerator.process_index)
    if main:
        describe(run, setup, {})
    with stop_signals(trainer.stop), progress:
        verdict = trainer.fit()
    if main:
        describe(
            run,
            setup,
            {
                "steps": trainer.step,
                "seconds": round(trainer.elapsed, 1),
                "skipped": len(trainer.skips.keys),
                "verdict": verdict,
            },
        )
    trainer.accelerator.wait_for_everyone()  # the files are complete
    return verdict
