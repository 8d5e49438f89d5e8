"""The settings of this process that libraries share: OpenCV, malloc, logging, random seeds."""

from __future__ import annotations

import ctypes
import logging
import platform
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import cv2
import torch

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of malloc.h
_NEVER = -1
STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
)
"""The signals that ask a process to stop, of those that this system has."""

_LOGGER = logging.getLogger("ssl_kit")


@cache
def prepare_process() -> None:
    """Prepares this process, and those it forks, for loading and training; later calls do nothing.

    OpenCV gets no threads of its own, because the loading processes are the parallelism. Without a
    GPU, memory that tensors free is kept for the next ones.
    """
    cv2.setNumThreads(0)
    _LOGGER.setLevel(logging.INFO)
    if not torch.accelerator.is_available():
        keep_freed_memory()


def keep_freed_memory() -> None:
    """Keeps the memory that tensors free in this process and in those it forks, for later tensors.

    glibc gives large blocks back to the kernel, which fills them with zeros when the next step
    asks for them again: 20,000 page faults a step, a twentieth of its time (docs/decisions.md).
    Other C libraries are left as they are.
    """
    if libc := _glibc():
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, _NEVER)


def return_freed_memory() -> None:
    """Returns the memory that is kept to the system.

    After a training these are gigabytes. A process that is forked then would keep a copy of them as
    soon as this one uses them again.
    """
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds torch's random numbers on the devices in use, and restores their state at the end."""
    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
        torch.manual_seed(seed)
        yield


class _Handler(logging.Handler):
    """Passes each message of the package on once."""

    def __init__(self, say: Callable[[str], None], warn: Callable[[str], None]) -> None:
        super().__init__()
        self._say, self._warn, self._shown = say, warn, set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        """Shows a message that was not shown before."""
        text = record.getMessage()
        if text not in self._shown:
            self._shown.add(text)
            (self._warn if record.levelno >= logging.WARNING else self._say)(text)


def show_log(say: Callable[[str], None], warn: Callable[[str], None]) -> None:
    """Shows what the package logs, each message once, with the latest functions given here.

    Args:
        say: Shows a message.
        warn: Shows a warning.
    """
    _LOGGER.handlers[:] = [_Handler(say, warn)]
    _LOGGER.setLevel(logging.INFO)
