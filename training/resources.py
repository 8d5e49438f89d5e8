"""What this process has used of the machine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from ..core.atomic import write_atomic
from ..core.errors import DataError
from ..data.memory_limits import free_memory as free_memory
from ..data.process import return_freed_memory

_KIB, _MIB = 1024, 2**20


def peak_memory() -> int:
    """Returns the largest resident memory of this process so far, in bytes.

    Processes that load images are not counted.
    """
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else _KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak_memory() -> None:
    """Lets `peak_memory` begin anew from the memory in use, where the system can (Linux)."""
    return_freed_memory()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def resident_memory() -> int:
    """Returns the resident memory of this process in bytes, without what was freed."""
    return_freed_memory()
    return int(psutil.Process().memory_info().rss)


def processor_seconds() -> float:
    """Returns the processor time of this process and of its ended children so far, in seconds."""
    times = psutil.Process().cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


@contextmanager
def measured(file: Path) -> Iterator[None]:
    """Adds the time inside to that of earlier attempts, and keeps the peak memory.

    Args:
        file: JSON with seconds, cpu_seconds and peak_memory_mib.

    Raises:
        DataError: If the file is damaged.
    """
    try:
        before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        seconds, busy = float(before.get("seconds", 0)), float(before.get("cpu_seconds", 0))
        memory = float(before.get("peak_memory_mib", 0))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"'{file}' is damaged: {error}. Delete it to go on.") from error
    seconds, busy = seconds - time.monotonic(), busy - processor_seconds()
    try:
        yield
    finally:
        now = {
            "seconds": seconds + time.monotonic(),
            "cpu_seconds": busy + processor_seconds(),
            "peak_memory_mib": max(memory, peak_memory() / _MIB),
        }
        rounded = {name: round(value, 1) for name, value in now.items()}
        write_atomic(file, (json.dumps(rounded) + "\n").encode())
