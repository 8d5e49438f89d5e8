"""Files that are either written completely or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import explain_write_errors


def write_atomic(path: Path, content: bytes) -> None:
    """Writes a file aside, syncs it to the disk, and renames it: readers see all of it or none."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # two processes have two files
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
