"""Memory that is free: that of the machine, within the limits of a container or of a job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

_OWN = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")
_LIMIT_AND_USE = (
    ("memory.max", "memory.current"),  # control groups of version 2
    ("memory.limit_in_bytes", "memory.usage_in_bytes"),  # of version 1
)
_CACHE = ("inactive_file", "active_file")


def free_memory() -> int:
    """Returns the memory that this process can have without swapping, in bytes.

    Containers and the jobs of a cluster have limits of their own, by control groups:
    https://docs.kernel.org/admin-guide/cgroup-v2.html.
    """
    return max(0, min([int(psutil.virtual_memory().available), *_left_in_groups()]))


def _left_in_groups() -> Iterator[int]:
    for folder in _groups():
        for limit_name, use_name in _LIMIT_AND_USE:
            limit, use = _text(folder / limit_name).strip(), _text(folder / use_name).strip()
            if limit.isdecimal() and use.isdecimal():  # "max" is no limit
                yield int(limit) - int(use) + _cached(folder)


def _groups() -> Iterator[Path]:
    """Yields the folders of the control groups of this process, and of the groups around them."""
    for line in _text(_OWN).splitlines():
        _, controllers, name = line.split(":", 2)
        mount = _MOUNT / "memory" if controllers else _MOUNT
        if controllers and "memory" not in controllers.split(","):
            continue
        folder = mount / name.strip("/")
        while folder.is_relative_to(mount):
            yield folder
            folder = folder.parent


def _cached(folder: Path) -> int:
    """Returns the bytes of files in the memory of a group, which it gives back when asked."""
    rows = dict(line.partition(" ")[::2] for line in _text(folder / "memory.stat").splitlines())
    return sum(int(rows.get(f"total_{name}", rows.get(name, 0))) for name in _CACHE)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
