"""Computations across processes: gathering, batch statistics, random numbers."""

from __future__ import annotations

from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


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


class SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalization over the joined batch of all processes, on devices other than GPUs.

    An activation and dropout that timm fuses into its layer are kept.
    """

    drop: nn.Module
    act: nn.Module

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        """Maps (B, C, ...) to the same shape."""
        if not self.training or world_size() == 1:
            out = super().forward(input)
            return cast(Tensor, self.act(self.drop(out)))
        x = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
        dims = [d for d in range(x.ndim) if d != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        count = all_reduce(x.new_tensor(float(x.numel() // x.shape[1])))
        mean = all_reduce(x.sum(dims)) / count
        centered = x - mean.view(shape)
        var = all_reduce(centered.square().sum(dims)) / count
        if self.running_mean is not None and self.running_var is not None:
            momentum = 0.1 if self.momentum is None else self.momentum
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
                unbiased = var * count / (count - 1)
                self.running_var.lerp_(unbiased.to(self.running_var.dtype), momentum)
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked.add_(1)
        out = centered * (var + self.eps).rsqrt().view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return cast(Tensor, self.act(self.drop(out.to(input.dtype))))


def sync_batch_norm(module: M, device: torch.device | str = "cpu") -> M:
    """Makes every batch normalization inside a module use the joined batch of all processes.

    On a CUDA device they become torch's own SyncBatchNorm, which works on no CPU; elsewhere they
    become `SyncBatchNorm` of this module. Weights are shared with the module that is given.

    Args:
        module: Changed in place; itself no batch normalization.
        device: Where it will be trained.
    """
    if torch.device(device).type == "cuda":
        from timm.layers import norm_act  # torch's conversion, which keeps fused activations too

        return cast(M, norm_act.convert_sync_batchnorm(module))  # type: ignore[no-untyped-call]
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            synced = SyncBatchNorm(
                child.num_features,
                child.eps,
                child.momentum,
                child.affine,
                child.track_running_stats,
            )
            synced._parameters, synced._buffers = child._parameters, child._buffers
            synced.drop = getattr(child, "drop", nn.Identity())
            synced.act = getattr(child, "act", nn.Identity())
            setattr(module, name, synced.train(child.training))
        else:
            sync_batch_norm(child)
    return module


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
