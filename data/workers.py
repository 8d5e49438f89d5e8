"""The processes that load images: how many, how they start, and how they end."""

from __future__ import annotations

import atexit
import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import cache
from multiprocessing.connection import wait
from typing import Any, TypeVar
from weakref import WeakSet, finalize

from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from ..core.errors import PluginError, RunError
from .counting import plural
from .process import STOP_SIGNALS, prepare_process, return_freed_memory

_log = logging.getLogger("ssl_kit")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of linux/prctl.h
_WORKERS: WeakSet[multiprocessing.process.BaseProcess] = WeakSet()
_Batch = TypeVar("_Batch", covariant=True)


class WorkerDied(RunError):
    """The system has ended a loading process, most often because memory ran out.

    Attributes:
        fact: A sentence that says so.
    """

    fact = "The system ended a loading process, most often because memory is short."

    def __init__(self) -> None:
        super().__init__(
            f"{self.fact} Lower train.workers or the batch size; in a container, raise the limit "
            "of shared memory too."
        )


class StopFlag:
    """Tells loading processes to end, as `multiprocessing.Event` does, but without a lock.

    A process that was killed while it held the lock would keep this process waiting for ever.
    """

    def __init__(self) -> None:
        self._value = multiprocessing.RawValue(ctypes.c_bool, False)

    def set(self) -> None:
        """Asks the processes to end."""
        self._value.value = True

    def is_set(self) -> bool:
        """Tells whether they were asked to end."""
        return self._value.value


class WorkerLoader(DataLoader[_Batch]):
    """torch's `DataLoader`, whose processes ignore signals that ask this process to stop.

    Args:
        dataset: The images.
        options: Of `DataLoader`.
    """

    def __init__(self, dataset: TorchDataset[Any], **options: Any) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This DataLoader will create")  # see `choose_workers`
            super().__init__(dataset, worker_init_fn=prepare_worker, **options)
        if self.num_workers:
            context = copy(multiprocessing.get_context())
            vars(context)["Event"] = StopFlag
            self.multiprocessing_context = context
        self._own: set[multiprocessing.process.BaseProcess] = set()

    def __iter__(self) -> Any:
        """Yields the batches.

        Raises:
            WorkerDied: If the system ends a process.
            PluginError: If the dataset cannot be sent to the processes.
        """
        others = multiprocessing.active_children()
        batches = self._start()
        started = set(multiprocessing.active_children()).difference(others)
        self._own = started or self._own  # those of the first epoch may serve the next ones
        _WORKERS.update(self._own)
        # else torch waits for them where the loader lies in a cycle
        finalize(batches, _kill, started, os.getpid())
        try:
            yield from batches
        except Exception as error:  # it has many faces: what a dead process sent is not there
            if not self._own or not wait([one.sentinel for one in self._own], timeout=1):
                raise
            raise WorkerDied from error

    def _start(self) -> Any:
        try:
            with starting_workers(), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of what is explained below
                return super().__iter__()
        except Exception as error:
            if "pickle" not in str(error):
                raise
            raise PluginError(
                f"The images or their policies cannot be sent to loading processes: {error}. Set "
                "train.workers=0, and tell the author of the domain."
            ) from error


def _kill(workers: Iterable[multiprocessing.process.BaseProcess], parent: int) -> None:
    """Ends processes, which ignore SIGTERM; those that have ended already are left alone.

    Args:
        workers: The processes.
        parent: Number of the process that started them. Another one, which was forked from it and
            inherited them, leaves them alone.
    """
    if os.getpid() == parent:
        for worker in list(workers):
            worker.kill()


atexit.register(_kill, _WORKERS, os.getpid())


def usable_cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose_workers(asked: int) -> int:
    """Returns the number of loading processes; -1 leaves one core to the training process."""
    cores = usable_cores()
    if asked > cores:
        _say_that_they_compete(asked, cores)
    return asked if asked >= 0 else max(0, min(8, cores - 1))


@cache
def _say_that_they_compete(workers: int, cores: int) -> None:
    _log.warning(
        "%d loading processes share %s, which is seldom faster. Leave --workers out, and their "
        "number is chosen.",
        workers,
        plural(cores, "core"),
    )


def prepare_worker(worker: int) -> None:
    """Prepares a loading process, which inherits nothing where processes are not forked.

    Signals that ask a run to stop often go to all of its processes. This one ignores them, because
    the training process needs it for the step under way; it ends with that process. What it
    inherits is never collected here: iterators of earlier loaders among it would complain that
    their processes belong to another one.
    """
    gc.freeze()
    gc.enable()
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    prepare_process()


@contextmanager
def starting_workers() -> Iterator[None]:
    """Protects loading processes that are started here, and this one from their end.

    They start with signals blocked until `prepare_worker` ignores them. torch's handler of SIGCHLD
    is not kept: it would raise an error in the middle of a training step. They start without
    garbage collection, which `prepare_worker` turns on, and without copies of freed memory.
    """
    return_freed_memory()
    collecting = gc.isenabled()
    blockable = hasattr(signal, "pthread_sigmask")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS) if blockable else set()
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGCHLD) if hasattr(signal, "SIGCHLD") and main else None
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
        if handler is not None:
            signal.signal(signal.SIGCHLD, handler)
        if blockable:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
