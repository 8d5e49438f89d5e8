"""Where tensors live: the GPU if there is one, else memory that is not handed back."""

from __future__ import annotations

import ctypes
import platform

import torch

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of malloc.h
_NEVER = -1


def choose_device() -> torch.device:
    """Returns the GPU if there is one, else the CPU, for which freed memory is kept."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    keep_freed_memory()
    return torch.device("cpu")


def keep_freed_memory() -> None:
    """Has this process, and those it forks, keep the memory that tensors free, for the next ones.

    glibc gives large blocks back to the kernel, which fills them with zeros when the next step
    asks anew: 20,000 page faults a step, a twentieth of its time (docs/decisions.md). Other C
    libraries are left as they are.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, _NEVER)
