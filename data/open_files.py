"""Keeps files open between reads, in each process its own."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from ..core.atomic import write_atomic as write_atomic
from ..core.errors import DataError

P = ParamSpec("P")
T = TypeVar("T")


class OpenFiles(Generic[P, T]):
    """Opens files by a function, and keeps those open that were used last.

    Processes do not share open files: a forked process would share the file offset with its parent,
    so it opens its own. A file that has changed since it was opened is opened again.

    Args:
        opener: Takes a path and further hashable arguments and returns what is kept.
        most: Number of files that are kept open.
    """

    def __init__(self, opener: Callable[Concatenate[Path, P], T], most: int) -> None:
        self._opener, self._most = opener, most
        self._process = os.getpid()
        self._open: OrderedDict[tuple[object, ...], T] = OrderedDict()
        self.__doc__ = opener.__doc__

    def __call__(self, path: Path, *args: P.args, **options: P.kwargs) -> T:
        """Opens a file, or returns it if it is open.

        Raises:
            DataError: If the file is empty or cannot be opened.
        """
        if self._process != os.getpid():
            self._open, self._process = OrderedDict(), os.getpid()
        key = (path, args, *sorted(options.items()), *file_version(path))
        if key not in self._open:
            self._open[key] = self._opener(path, *args, **options)
        self._open.move_to_end(key)
        while len(self._open) > self._most:
            _close(self._open.popitem(last=False)[1])
        return self._open[key]

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the open files behind, because they cannot be pickled."""
        return {**self.__dict__, "_open": OrderedDict()}

    def __len__(self) -> int:
        """Returns the number of open files."""
        return len(self._open)

    def forget(self, path: Path) -> None:
        """Closes a file, so that the next read opens it anew: after an error, for example."""
        for key in [key for key in self._open if key[0] == path]:
            _close(self._open.pop(key))


def keep_open(most: int) -> Callable[[Callable[Concatenate[Path, P], T]], OpenFiles[P, T]]:
    """Returns a decorator that makes `OpenFiles` of a function which opens a file.

    Args:
        most: Number of files that are kept open in each process.
    """
    return lambda opener: OpenFiles(opener, most)


def file_version(path: Path) -> tuple[int, int]:
    """Returns time of the last change (ns) and size (bytes) of a file.

    Raises:
        DataError: If the file is empty or cannot be opened.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"cannot be opened: {error.strerror or error}") from error
    if not state.st_size and stat.S_ISREG(state.st_mode):
        raise DataError("the file is empty")
    return state.st_mtime_ns, state.st_size


def _close(file: object) -> None:
    close = getattr(file, "close", None)
    if close is not None:
        close()
