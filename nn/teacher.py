"""Momentum encoders: copies, moving averages and their schedules."""

from __future__ import annotations

import copy
import math
from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def frozen_copy(module: M) -> M:
    """Returns a copy of a module that takes no gradient: a teacher."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def ema_(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Moves a teacher towards its student: t = m t + (1 - m) s; buffers are copied."""
    pairs = list(zip(teacher.parameters(), student.parameters(), strict=True))
    torch._foreach_lerp_([t for t, _ in pairs], [s for _, s in pairs], 1 - momentum)
    for t, s in zip(teacher.buffers(), student.buffers(), strict=True):
        t.copy_(s)


def cosine_momentum(step: int, steps: int, base: float) -> float:
    """Teacher momentum that rises from `base` to 1: 1 - (1 - base) (cos(pi k / K) + 1) / 2.

    BYOL (Grill et al. 2020, https://arxiv.org/abs/2006.07733), section 3.2.
    """
    return 1 - (1 - base) * (math.cos(math.pi * step / steps) + 1) / 2
