"""Memory that does not suffice: one line that says what to lower, or smaller batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ..core.errors import RunError

_TEXTS = (  # of errors that have no class of their own
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "unable to allocate",
    "insufficient memory",
    "alloc_failed",  # of cuBLAS and cuDNN
)


def is_out_of_memory(error: BaseException) -> bool:
    """Tells whether an error means that the memory of the machine or of the GPU is full."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    raised_in_c = isinstance(error, RuntimeError) or type(error).__module__ == "cv2"
    return raised_in_c and any(text in str(error).lower() for text in _TEXTS)


@contextmanager
def explain_memory_errors(advice: str) -> Iterator[None]:
    """Turns an error that means full memory into one line.

    Args:
        advice: A sentence that says what to lower.

    Raises:
        RunError: If memory is full.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        where = "the GPU" if isinstance(error, torch.OutOfMemoryError) else "this machine"
        raise RunError(f"The memory of {where} is full. {advice}") from error


def in_parts(function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """Applies a function to all rows at once, or to halves where the memory is full.

    Args:
        function: Maps (n, ...) to (n, ...), each row by itself.
        rows: (n, ...).

    Raises:
        RunError: If there is no memory for a single row.
    """
    try:
        return function(rows)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if len(rows) == 1:
            raise RunError(
                "The memory is full with a single image. Lower --image-size, or choose a smaller "
                "encoder."
            ) from error
    middle = len(rows) // 2  # outside of the handler, which keeps the tensors of the error
    return torch.cat([in_parts(function, rows[:middle]), in_parts(function, rows[middle:])])
