"""The training loop."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object
from torch import Tensor

from . import loader as loading
from .errors import RunError, UsageError
from .objective import Batch, Output, View
from .optim import learning_rate, make_optimizer, set_learning_rate
from .progress import Progress
from .run import Run, environment
from .setup import Setup, build, partners_of
from .views import Renderer
from .watch import VIEWS, Watch, cure

_MEASURE_SECONDS, _MEASURE_FROM_STEP, _PROVISIONAL_STEPS = 10.0, 3, 1000
_RECORD_STEPS = 100


@dataclass
class Counters:
    """What the loop has done; saved with the checkpoint.

    Attributes:
        step: Optimizer steps (batches) done.
        steps: Length of the schedule; 0 until it is known.
        elapsed: Seconds of training, earlier processes included.
        skipped: Keys of unreadable images met so far.
        loss: Sum of the losses since the last record.
        sums: Sums of the objective's metrics since the last record.
        count: Steps since the last record.
    """

    step: int = 0
    steps: int = 0
    elapsed: float = 0.0
    skipped: list[str] = field(default_factory=list)
    loss: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0


def choose_precision(asked: str) -> str:
    """Returns fp32, bf16 or fp16; "auto" is bf16 where the machine computes in it."""
    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32"


class Trainer:
    """Trains one run to its end.

    Args:
        run: The folder to write to.
        setup: What `build` made from the run's configuration.
        progress: Shows what happens.
    """

    def __init__(self, run: Run, setup: Setup, progress: Progress) -> None:
        self.run, self.setup, self.progress = run, setup, progress
        self.config = setup.config
        AcceleratorState._reset_state()
        self.accelerator = Accelerator(
            mixed_precision=choose_precision(self.config.train.precision).replace("fp32", "no"),
            gradient_accumulation_steps=self.config.train.accumulate,
        )
        self.batch_size = min(self.config.train.batch_size, len(setup.pool))
        if self.batch_size < 2:
            raise UsageError("There are fewer than 2 images to train on. Give --data more images.")
        if self.batch_size % self.accelerator.num_processes:
            raise UsageError("--batch-size must be a multiple of the number of processes.")
        self.per_epoch = len(setup.pool) // self.batch_size
        optimizer = make_optimizer(setup.objective, self.config.optimizer)
        self.model, self.optimizer = self.accelerator.prepare(
            setup.objective.to(memory_format=torch.channels_last), optimizer
        )
        self.standardize = loading.Standardize(
            setup.statistics.mean, setup.statistics.std, self.accelerator.device
        )
        self.watch = Watch(
            self._views((View(self.config.encoder.image_size),) * VIEWS),
            setup.pool,
            self.standardize,
        )
        self.counters = Counters()
        self.stop_signal = 0
        self._pending: tuple[Tensor, dict[str, Tensor], tuple[str, ...]] | None = None
        self._saved_at = time.monotonic()
        self._waited = self._recorded_at = 0.0

    def _views(self, views: tuple[View, ...], paired: bool = False) -> loading.ViewDataset:
        setup, seed = self.setup, self.config.seed
        renderer = Renderer(setup.domain.policies, views, setup.dataset.channels, seed)
        pair_by = self.config.data.pair_by if paired else ""
        partners = partners_of(setup.domain, setup.dataset, pair_by)
        return loading.ViewDataset(setup.dataset, setup.pool, renderer, partners, seed)

    def _batches(self) -> Iterator[loading.RawBatch]:
        requests = self.setup.objective.views(
            self.setup.objective.config, self.config.encoder.image_size
        )
        order = loading.Stream(
            self.setup.pool,
            self.batch_size,
            self.config.seed,
            self.counters.step,
            self.accelerator.process_index,
            self.accelerator.num_processes,
        )
        pin = self.accelerator.device.type == "cuda"
        views = self._views(requests, paired=True)
        return iter(loading.make_loader(views, order, self.config.train.workers, pin))

    def fit(self) -> str:
        """Trains until the schedule ends.

        Returns:
            The last verdict of the collapse watch.

        Raises:
            RunError: If the loss is not finite, too many images are unreadable, the features
                collapse and that is to stop the run, or a signal asks to stop.
        """
        self.resume()
        counters = self.counters
        if counters.step == 0:
            self.watch.judge(self._look(), None, self.setup.encoder.dim)
        batches, started = self._batches(), time.monotonic() - counters.elapsed
        self._recorded_at = counters.elapsed
        while not counters.steps or counters.step < counters.steps:
            waiting = time.monotonic()
            raw = next(batches)
            self._waited += time.monotonic() - waiting
            self._note_skipped(raw.skipped)
            self.train_on(loading.to_batch(raw, self.setup.dataset, self.standardize))
            counters.elapsed = time.monotonic() - started
            self._plan()
            if self._at_record():
                self.record()
            self.progress.step(
                counters.step, counters.steps, self.config.train.max_time, counters.elapsed
            )
            if (
                self.stop_signal
                or time.monotonic() - self._saved_at > self.config.train.checkpoint_every
            ):
                self.save()
            if self.stop_signal:
                raise RunError(
                    f"Stopped by signal {self.stop_signal} after step {counters.step}. Go on with "
                    f"'ssl-kit train --resume {self.run.folder}'."
                )
        self.save()
        return self.watch.state.verdict

    def train_on(self, batch: Batch) -> None:
        """Takes the optimizer steps of one batch."""
        counters, train = self.counters, self.config.train
        rate = learning_rate(
            counters.step,
            counters.steps or self._provisional(),
            self.config.optimizer,
            self.batch_size,
        )
        set_learning_rate(self.optimizer, rate)
        for phase in range(self.setup.objective.phases):
            with self.accelerator.accumulate(self.model):
                output: Output = self.model(batch, phase)
                self.accelerator.backward(output.loss)
                if self.config.optimizer.clip and self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(
                        self.model.parameters(), self.config.optimizer.clip
                    )
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
        counters.step += 1
        if counters.step % train.accumulate == 0:
            self.setup.objective.after_step(counters.step, counters.steps or self._provisional())
        self._settle()
        self._pending = (output.loss.detach(), dict(output.metrics), batch.keys)

    def _settle(self) -> None:
        """Takes in the loss of the step before: one late, so that a GPU need not wait for it."""
        if self._pending is None:
            return
        loss, metrics, keys = self._pending
        self._pending, value = None, float(loss)
        if not math.isfinite(value):
            raise RunError(
                f"The loss became {value} at step {self.counters.step}; the last checkpoint is "
                f"kept. Lower optimizer.lr, set optimizer.clip=1, or look at these images: "
                f"{', '.join(keys[:8])}, ..."
            )
        self.counters.loss += value
        self.counters.count += 1
        for name, metric in metrics.items():
            self.counters.sums[name] = self.counters.sums.get(name, 0.0) + float(metric)

    def _provisional(self) -> int:
        epochs = self.config.train.epochs
        return epochs * self.per_epoch if epochs else _PROVISIONAL_STEPS

    def _plan(self) -> None:
        """Fixes the length of the schedule: by epochs, or by a measurement of the first seconds."""
        counters, train = self.counters, self.config.train
        if counters.steps:
            return
        longest = (train.epochs or (0 if train.max_time else 100)) * self.per_epoch
        if not train.max_time:
            counters.steps = longest
            return
        if counters.step == _MEASURE_FROM_STEP:
            self._measured_from = time.monotonic()
        if counters.step <= _MEASURE_FROM_STEP:
            return
        spent = time.monotonic() - self._measured_from
        if spent < min(_MEASURE_SECONDS, 0.1 * train.max_time):
            return
        rate = (counters.step - _MEASURE_FROM_STEP) / spent
        left = (
            0.96 * train.max_time - counters.elapsed - 1
        )  # the watch and the last files take some
        planned = counters.step + max(1, int(left * rate))
        counters.steps = min(planned, longest) if longest else planned
        counters.steps = self._agreed(counters.steps)

    def _agreed(self, number: int) -> int:
        """Returns the main process's number in all processes."""
        return int(gather_object([number])[0])

    def _at_record(self) -> bool:
        step = self.counters.step
        return (
            step % self.per_epoch == 0
            or step == self.counters.steps
            or (step % self.per_epoch % _RECORD_STEPS == 0)
        )

    def record(self) -> None:
        """Appends a line to metrics.jsonl, and lets the watch judge where an epoch ends."""
        self._settle()
        counters = self.counters
        seconds = max(counters.elapsed - self._recorded_at, 1e-9)
        mean = counters.loss / max(counters.count, 1)
        values: dict[str, Any] = {
            "epoch": counters.step / self.per_epoch,
            "step": counters.step,
            "loss": mean,
            "lr": self.optimizer.param_groups[0]["lr"],
            "images_per_second": counters.count * self.batch_size / seconds,
            "data_wait": self._waited / seconds,
            **{name: total / max(counters.count, 1) for name, total in counters.sums.items()},
        }
        last = counters.step == counters.steps
        if (counters.step % self.per_epoch == 0 and self.watch.due()) or last:
            values |= self._watch(mean)
        counters.loss, counters.count, counters.sums = 0.0, 0, {}
        self._recorded_at, self._waited = counters.elapsed, 0.0
        if self.accelerator.is_main_process:
            self.run.append(self.run.metrics, values)
            self.progress.epoch(values, counters.steps)

    def _look(self) -> dict[str, float]:
        return self.watch.look(self.setup.objective, self.accelerator.autocast)

    def _watch(self, loss: float) -> dict[str, Any]:
        best = self.watch.state.best_rank
        measures = self._look()
        verdict = self.watch.judge(measures, loss, self.setup.encoder.dim)
        if measures["rankme_centred"] > best and self.accelerator.is_main_process:
            self._save_encoder(self.run.best)
        if verdict != "OK":
            self.progress.warn(f"Collapse watch: {verdict}: {cure(verdict)}.")
        if verdict == "COLLAPSED" and self.config.train.on_collapse == "stop":
            self.save()
            raise RunError(f"Stopped because the features collapsed: {cure(verdict)}.")
        return {**measures, "verdict": verdict}

    def _note_skipped(self, skipped: loading.Skipped) -> None:
        counters = self.counters
        for key, reason in skipped:
            if key not in counters.skipped:
                counters.skipped.append(key)
                self.run.append(self.run.skipped, {"key": key, "reason": reason})
        allowed = self.config.data.max_skip * len(self.setup.pool)
        if skipped and len(counters.skipped) > allowed:
            key, reason = skipped[0]
            raise RunError(
                f"{len(counters.skipped)} of {len(self.setup.pool)} images are unreadable, more than "
                f"--max-skip {self.config.data.max_skip:g} allows; the first: '{key}': {reason}. All "
                f"are listed in {self.run.skipped}. Repair or remove them, or raise --max-skip."
            )

    def save(self) -> None:
        """Writes the checkpoint and the encoder so far."""
        self._settle()
        rng = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
        rngs = gather_object([rng])
        if self.accelerator.is_main_process:
            self.run.save_checkpoint(
                {
                    "objective": self.accelerator.unwrap_model(self.model).state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "counters": asdict(self.counters),
                    "watch": self.watch.state_dict(),
                    "rng": rngs,
                }
            )
            self._save_encoder(self.run.encoder)
        self._saved_at = time.monotonic()

    def _save_encoder(self, path: Path) -> None:
        encoder = self.setup.encoder
        self.run.save_weights(path, encoder.body.state_dict(), self.setup.dataset.channels)

    def resume(self) -> None:
        """Continues from the last checkpoint, if there is one."""
        state = self.run.load_checkpoint()
        self.run.truncate_metrics(state["counters"]["step"] if state else -1)
        if state is None:
            return
        self.accelerator.unwrap_model(self.model).load_state_dict(state["objective"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.counters = Counters(**state["counters"])
        self.watch.load_state_dict(state["watch"])
        rng = state["rng"][self.accelerator.process_index]
        torch.set_rng_state(rng["cpu"])
        if rng["cuda"]:
            torch.cuda.set_rng_state_all(rng["cuda"])


@contextmanager
def _signals(trainer: Trainer) -> Iterator[None]:
    """Lets Ctrl-C and a scheduler's SIGTERM end the run in good order, after the step under way."""

    def ask(number: int, _frame: object) -> None:
        trainer.stop_signal = number

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(run: Run, progress: Progress) -> str:
    """Trains a run from its configuration, or from its last checkpoint, to the end.

    Args:
        run: A created or interrupted run.
        progress: Shows what happens.

    Returns:
        The verdict of the collapse watch.
    """
    setup = build(run.config)
    progress.start(setup)
    trainer = Trainer(run, setup, progress)
    torch.manual_seed(run.config.seed + trainer.accelerator.process_index)
    if trainer.accelerator.is_main_process:
        _describe(run, setup)
    with _signals(trainer), progress:
        verdict = trainer.fit()
    _describe(run, setup, trainer.counters, verdict)
    return verdict


def _describe(run: Run, setup: Setup, counters: Counters | None = None, verdict: str = "") -> None:
    """Writes encoder.json and manifest.json."""
    config, dataset = setup.config, setup.dataset
    facts = environment()
    run.write_json(
        "encoder.json",
        {
            "architecture": config.encoder.name,
            "channels": list(dataset.channels),
            "value_range": dataset.value_range.tolist(),
            "mean": setup.statistics.mean,
            "std": setup.statistics.std,
            "image_size": config.encoder.image_size,
            "domain": config.domain,
            "objective": config.objective.name,
            "versions": facts["versions"],
        },
    )
    run.write_json(
        "manifest.json",
        {
            **facts,
            "seed": config.seed,
            "initial_weights": setup.loaded,
            "data": {
                "fingerprint": dataset.fingerprint(),
                "images": len(dataset),
                "trained_on": len(setup.pool),
            },
            "groups": sorted(dataset.index.group_hashes(setup.pool)),
            "steps": counters.steps if counters else None,
            "seconds": round(counters.elapsed, 1) if counters else None,
            "skipped": len(counters.skipped) if counters else None,
            "verdict": verdict or None,
        },
    )
