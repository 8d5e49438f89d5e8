"""The processes that train together: accelerate, the batch of each, signals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list, gather_object

from ..core.errors import RunError, UsageError
from ..data.counting import plural
from ..data.process import STOP_SIGNALS, prepare_process
from .run import Run
from .settings import RunConfig


def create_run(folder: Path, config: RunConfig) -> Run:
    """Creates a run folder in the main process, and opens it in all processes."""
    state = PartialState(cpu=_no_accelerator())
    folder = Path(broadcast_object_list([str(folder)])[0])  # its name may hold the time
    if state.is_main_process:
        Run.create(folder, config)
    state.wait_for_everyone()
    return Run(folder)


def process_count() -> int:
    """Returns the number of processes that train together."""
    return int(PartialState(cpu=_no_accelerator()).num_processes)


def process_index() -> int:
    """Returns the number of this process, 0 for the main one."""
    return int(PartialState(cpu=_no_accelerator()).process_index)


def _no_accelerator() -> bool:
    """Returns whether to train on the CPU; accelerate must be told so under torchrun."""
    return not torch.accelerator.is_available()


def make_accelerator(precision: str, accumulate: int, partial: bool = False) -> Accelerator:
    """Returns accelerate's `Accelerator` for a precision and a number of batches in a step.

    Args:
        precision: fp32, bf16 or fp16.
        accumulate: Number of batches in an optimizer step.
        partial: Whether a step may leave some weights without a gradient.
    """
    prepare_process()
    AcceleratorState._reset_state()  # an earlier run may have used another precision
    return Accelerator(
        cpu=_no_accelerator(),
        mixed_precision=precision.replace("fp32", "no"),
        gradient_accumulation_steps=accumulate,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=partial)],
    )


def divide_batch(batch_size: int, images: int, processes: int, accumulate: int = 1) -> int:
    """Returns the largest possible batch size, at most the one given.

    Args:
        batch_size: Number of images in a batch, all processes together.
        images: Number of images to train on.
        processes: Number of processes, each of which takes an equal share of a batch.
        accumulate: Number of batches in an optimizer step, of different images.

    Raises:
        UsageError: If there are too few images, or the batch cannot be divided.
    """
    size = min(batch_size, images // (processes * accumulate) * processes)
    least = max(2, processes)
    if size < 2 and images >= least:  # they are enough for a batch, but not for all of a step
        raise UsageError(
            f"train.accumulate={accumulate} needs {least * accumulate} images, {least} for each "
            f"batch of a step, but there are {images} to train on. Lower it to at most "
            f"{images // least}, or give --data more."
        )
    if size < 2:
        needed = "two" if least == 2 else f"{least}, one for each process"
        raise UsageError(
            f"Only {plural(images, 'image')} to train on: a batch needs {needed}. Give --data more."
        )
    if size % processes:
        raise UsageError(f"--batch-size {size} is no multiple of the {processes} processes.")
    return size


def any_process(accelerator: Accelerator, flag: bool) -> bool:
    """Returns whether the flag is true in any process: all must save at the same step."""
    if accelerator.num_processes == 1:
        return flag
    votes = torch.tensor([int(flag)], device=accelerator.device)
    return bool(accelerator.reduce(votes, reduction="sum"))


def agreed(number: int) -> int:
    """Returns the main process's number in all processes."""
    return int(gather_object([number])[0])


class Stopped(RunError):
    """A training ended early because a signal asked for it; it can be resumed."""


_LATE: ContextVar[list[int] | None] = ContextVar("late", default=None)


@contextmanager
def late_signals_stop() -> Iterator[None]:
    """Stops what goes on after a training, as a context of it.

    A training that a signal reaches in its last step, or after it, ends as if there had been none.
    What several trainings are part of ends after this one.

    Raises:
        Stopped: At the end, if a signal asked to stop.
    """
    signals = list[int]()
    token = _LATE.set(signals)
    try:
        yield
    finally:
        _LATE.reset(token)
    if signals:
        raise Stopped("Stopped by a signal after the training had ended.")


@contextmanager
def stop_signals(ask: Callable[[int], None]) -> Iterator[None]:
    """Calls `ask` with the signal that asks to stop, instead of ending the process.

    A signal of a closed terminal stays ignored under nohup. Threads cannot handle signals.
    """
    numbers = STOP_SIGNALS if threading.current_thread() is threading.main_thread() else ()
    before = {n: signal.getsignal(n) for n in numbers}
    if "SIGHUP" in signal.Signals.__members__ and before.get(signal.SIGHUP) is signal.SIG_IGN:
        del before[signal.SIGHUP]
    late = _LATE.get()

    def heed(number: int, frame: object) -> None:
        ask(number)
        if late is not None:
            late.append(number)

    for number in before:
        signal.signal(number, heed)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
