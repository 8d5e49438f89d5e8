"""Computations across processes: gathering, sums, random numbers."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


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


def all_gather(x: Tensor) -> Tensor:
    """Concatenates (B, ...) of all processes to (P B, ...), in the order of the processes.

    Differentiable: the gradient is the sum over the processes. Where every process computes the
    *whole* loss from gathered tensors, DDP's mean over P processes of these sums is exactly the
    gradient of one process with the joined batch.
    """
    return _Gather.apply(x) if world_size() > 1 else x


class _AllReduce(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        grad = grad.contiguous()
        dist.all_reduce(grad)
        return grad


def all_reduce(x: Tensor) -> Tensor:
    """Sums a tensor over all processes, differentiably."""
    return _AllReduce.apply(x) if world_size() > 1 else x


def rand_per_sample(rows: int, *shape: int, like: Tensor) -> Tensor:
    """Draws uniform numbers in [0, 1) for each sample of the batch, (rows, *shape).

    The first process draws for the joined batch and each process takes its part, so that P
    processes get what one process with the joined batch would get. All randomness of an objective
    comes from here.

    Args:
        rows: Number of samples of this process (B).
        shape: Shape of the numbers of one sample.
        like: Gives the device and the precision; half precision is widened to float32.
    """
    drawn = rand_shared(rows * world_size(), *shape, like=like)
    return drawn[rank() * rows :][:rows]


def rand_shared(*shape: int, like: Tensor) -> Tensor:
    """Draws uniform numbers in [0, 1), (*shape), the same in every process."""
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    drawn = torch.rand(shape, device=like.device, dtype=dtype)
    if world_size() > 1:
        dist.broadcast(drawn, src=0)
    return drawn
