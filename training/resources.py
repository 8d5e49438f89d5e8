"""What this process has used of the machine."""

from __future__ import annotations

import sys

import psutil

_KIB = 1024


def peak_memory() -> int:
    """Returns the largest resident memory of this process so far, in bytes.

    Processes that load images are not counted.
    """
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else _KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
