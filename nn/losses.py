"""Building blocks of losses."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")

R = TypeVar("R")


def full_precision(loss: Callable[P, R]) -> Callable[P, R]:
    """Makes a loss function compute in float32 or wider, also under mixed precision.

    Tensors in bfloat16 or float16 are widened; autocast is off inside.
    """

    @functools.wraps(loss)
    def wide(*args: P.args, **kwargs: P.kwargs) -> R:
        given = (*args, *kwargs.values())
        device = next((a.device.type for a in given if isinstance(a, Tensor)), "cpu")
        named = {name: _widen(value) for name, value in kwargs.items()}
        with torch.autocast(device, enabled=False):
            return loss(*map(_widen, args), **named)  # type: ignore[arg-type]

    return wide


def _widen(value: object) -> object:
    half = isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if half else value  # type: ignore[attr-defined]


def off_diagonal(matrix: Tensor) -> Tensor:
    """Returns the elements (D (D - 1),) of a square matrix that are not on its diagonal."""
    n = len(matrix)
    return matrix.flatten()[:-1].view(n - 1, n + 1)[:, 1:].flatten()
