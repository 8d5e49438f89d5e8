"""Locks: one process at a time works in a folder, and the others say who does."""

from __future__ import annotations

import glob
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from ..core.errors import RunError, explain_write_errors

LOCK = ".lock"
_OURS = ("", "checkpoints/", "cells/*/")  # "evaluations/" has a lock of its own
_WAIT = 2.0  # seconds in which the loading processes of a dead process end


@contextmanager
def exclusive(folder: Path, name: str = LOCK, wait: float = _WAIT) -> Iterator[None]:
    """Keeps other processes from working in a folder at the same time.

    The operating system frees the lock when the process ends, however it ends.

    Args:
        folder: Is made if there is none.
        name: Name of the lock's file; locks of different names do not exclude each other.
        wait: Seconds to wait for another process.

    Raises:
        RunError: If another process works there, or the folder cannot be written.
    """
    lock, owner = folder / name, folder / f"{name}.json"
    held = FileLock(lock)
    with explain_write_errors(lock):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            held.acquire(timeout=wait)
        except Timeout:
            raise RunError(
                f"{_owner(owner)} works in '{folder}' already. Wait until it has ended, or choose "
                "another folder."
            ) from None
    try:
        with explain_write_errors(owner):
            owner.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        _remove_unfinished(folder, name.removesuffix(LOCK))
        yield
    finally:
        for file in (owner, lock):
            with suppress(OSError):  # the folder may be gone; Windows removes the lock itself
                file.unlink()
        held.release()


def _owner(file: Path) -> str:
    try:
        values = json.loads(file.read_text())
        return f"Process {values['pid']} on {values['host']}"
    except (OSError, ValueError, KeyError):
        return "Another process"


def _remove_unfinished(folder: Path, locked: str) -> None:
    """Removes what processes that were killed while they wrote have left; see `write_atomic`.

    Only files that the lock is for are removed. Processes on other computers that share the folder
    may be writing others, and their numbers say nothing here.

    Args:
        folder: The folder.
        locked: First part of the files' names; "" for all.
    """
    pattern = f"{glob.escape(locked)}.*.tmp"
    for file in chain.from_iterable(folder.glob(f"{place}{pattern}") for place in _OURS):
        number = file.name.split(".")[-2]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            file.unlink(missing_ok=True)
