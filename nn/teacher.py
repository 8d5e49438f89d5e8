"""Momentum encoders: frozen copies, moving averages and their schedules."""

from __future__ import annotations

import copy
import math
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..core.encoder import Encoder

M = TypeVar("M", bound=nn.Module)


def frozen_copy(module: M) -> M:
    """Returns a deep copy of a module whose parameters take no gradient."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def ema_(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Updates a teacher in place: t = m t + (1 - m) s for parameters; buffers are copied.

    Args:
        teacher: Module to update.
        student: Module of the same structure.
        momentum: m, in [0, 1].
    """
    pairs = list(zip(teacher.parameters(), student.parameters(), strict=True))
    torch._foreach_lerp_([t for t, _ in pairs], [s for _, s in pairs], 1 - momentum)
    for t, s in zip(teacher.buffers(), student.buffers(), strict=True):
        t.copy_(s)


def cosine_momentum(step: int, steps: int, base: float) -> float:
    """Teacher momentum that rises from `base` to 1: 1 - (1 - base) (cos(pi k / K) + 1) / 2.

    BYOL (Grill et al. 2020, https://arxiv.org/abs/2006.07733), section 3.2.
    """
    return 1 - (1 - base) * (math.cos(math.pi * step / steps) + 1) / 2


class Teacher(nn.Module):
    """A momentum encoder: a frozen copy of the student that follows it by a moving average.

    MoCo (He et al. 2019, https://arxiv.org/abs/1911.05722), eq. 2. Batch normalization of the copy
    is in training mode whenever the objective is, so that it uses the statistics of the batch.
    Dropout and stochastic depth are off, as in DINO and data2vec: they would make targets noisy.

    Args:
        encoder: Encoder of the student.
        projector: Projection head of the student, or None.
    """

    def __init__(self, encoder: Encoder, projector: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = frozen_copy(encoder)
        self.projector: Any = None if projector is None else frozen_copy(projector)

    def train(self, mode: bool = True) -> Teacher:
        """Sets the mode of batch normalization; all other layers stay in evaluation mode."""
        super().train(mode)
        for part in (self.encoder, self.projector):
            for layer in [] if part is None else part.modules():
                layer.training = layer.training and isinstance(layer, _BatchNorm)
        return self

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, C, H, W) to projections (B, D'), or to features (B, D) without a head."""
        features: Tensor = self.encoder(x)
        return features if self.projector is None else self.projector(features)

    def update(
        self, encoder: Encoder, projector: nn.Module | None = None, *, momentum: float
    ) -> None:
        """Moves the copy towards the student; call it from `Objective.after_step`.

        Args:
            encoder: Encoder of the student.
            projector: Projection head of the student, or None.
            momentum: Weight of the teacher in the moving average (m), in [0, 1].
        """
        ema_(self.encoder, encoder, momentum)
        if projector is not None:
            ema_(self.projector, projector, momentum)
