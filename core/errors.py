"""Every error that ssl-kit raises on purpose. Its text is written for the person at the terminal.

SslKitError                 exit code 1
├── UsageError              exit code 2: the request itself is wrong
│   └── UnknownNameError    no plugin of that name
├── PluginError             a plugin breaks its contract
├── DataError               a file or folder cannot be used
└── RunError                a run cannot start, go on or be written

Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class SslKitError(Exception):
    """Base of all errors meant for the user; `str(error)` is one line saying what to do."""

    exit_code = 1


class UsageError(SslKitError):
    """The request is wrong: an unknown key, a wrong type, options that exclude each other."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that no plugin registers."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        listed = f"Known: {', '.join(names)}." if len(names) <= 30 else f"{len(names)} are known."
        parts = [f"Unknown {kind} '{name}'.", did_you_mean(name, names), listed, hint]
        super().__init__(" ".join(part for part in parts if part))


class PluginError(SslKitError):
    """A plugin breaks its contract; the message names it."""


class DataError(SslKitError):
    """A file or folder cannot be read as images; the message names it and the reason."""


class RunError(SslKitError):
    """A run cannot start, continue or be written."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns "Did you mean 'x'?" for the nearest known name, or an empty string."""
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean '{nearest[0]}'?" if nearest else ""


_REFUSALS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EFBIG: "the file would be larger than allowed; raise the limit",
    errno.EIO: "the disk or the network drive fails",
    errno.ESTALE: "the network drive is gone; mount it again",
    errno.ENOTCONN: "the network drive is gone; mount it again",
    errno.ENODEV: "the drive is gone; mount it again",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "permission is denied; choose another folder, or allow writing",
    errno.EPERM: "permission is denied; choose another folder, or allow writing",
    errno.ENAMETOOLONG: "the name is too long; choose another one",
    errno.EISDIR: "a folder is in the way; choose another folder",
    errno.ENOTDIR: "a file is in the way; choose another folder",
    errno.EEXIST: "a file is in the way; choose another folder",
    errno.ENOENT: "there is no such folder, or it was deleted, renamed or unmounted",
}


def reason_of_refusal(error: OSError) -> str:
    """Returns why the operating system refuses to write, and what to do; "" if it is unknown."""
    return _REFUSALS.get(error.errno or 0, "")


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Turns the operating system's refusal to write `path` into one plain line."""
    try:
        yield
    except OSError as error:
        reason = reason_of_refusal(error)
        if not reason:
            raise
        raise RunError(
            f"Cannot write '{path}': {reason}. Files that were complete before are kept."
        ) from error
