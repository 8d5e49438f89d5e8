"""Pieces that several objectives share."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=nn.Module)


def mlp(*widths: int, bias: bool = True, last_norm: bool = False) -> nn.Sequential:
    """Builds linear layers with batch normalisation and ReLU between them.

    Args:
        widths: Input width, hidden widths, output width.
        bias: Whether the last layer has a bias; hidden layers have none before their norm.
        last_norm: Whether batch normalisation without scale and shift follows the last layer.
    """
    layers: list[nn.Module] = []
    for i, (width, out) in enumerate(itertools.pairwise(widths)):
        last = i == len(widths) - 2
        layers.append(nn.Linear(width, out, bias=bias and last and not last_norm))
        if not last:
            layers += [nn.BatchNorm1d(out), nn.ReLU(inplace=True)]
        elif last_norm:
            layers.append(nn.BatchNorm1d(out, affine=False))
    return nn.Sequential(*layers)


def full_precision(loss: Callable[P, R]) -> Callable[P, R]:
    """Makes a loss function compute in float32 or wider, also under mixed precision.

    Tensors in bfloat16 or float16 are widened; autocast is off inside.
    """

    @functools.wraps(loss)
    def wide(*args: P.args, **kwargs: P.kwargs) -> R:
        device = next((a.device.type for a in args if isinstance(a, Tensor)), "cpu")
        with torch.autocast(device, enabled=False):
            return loss(*map(_widen, args), **kwargs)  # type: ignore[arg-type]

    return wide


def _widen(value: object) -> object:
    half = isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if half else value  # type: ignore[attr-defined]


def world_size() -> int:
    """Returns the number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Returns the number of this process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        grad = grad.contiguous()
        dist.all_reduce(grad)
        return grad.chunk(world_size())[rank()]


def gather(x: Tensor) -> Tensor:
    """Concatenates (B, ...) of all processes to (P B, ...), in the order of the processes.

    Differentiable: the gradient is the sum over the processes. Where every process computes the
    *whole* loss from gathered tensors, DDP's mean over P processes of these sums is exactly the
    gradient of one process with the joined batch.
    """
    return _Gather.apply(x) if world_size() > 1 else x


def off_diagonal(matrix: Tensor) -> Tensor:
    """Returns the elements (D (D - 1),) of a square matrix that are not on its diagonal."""
    n = len(matrix)
    return matrix.flatten()[:-1].view(n - 1, n + 1)[:, 1:].flatten()


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
