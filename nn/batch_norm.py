"""Batch normalization across processes, and over random groups of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.nn.modules.batchnorm import _BatchNorm

from .distributed import all_reduce, rand_shared, rank, world_size
from .losses import full_precision

M = TypeVar("M", bound=nn.Module)


@full_precision
def standardize_groups(layer: _BatchNorm, x: Tensor, members: Tensor) -> Tensor:
    """Batch normalization in training mode with separate statistics for groups of samples.

    The running statistics take the mean over the groups.

    Args:
        layer: Gives scale, shift and running statistics.
        x: (B, C, ...) samples of this process.
        members: (B, G), 1 where a sample is in a group; the groups are those of all processes.
    """
    groups, space = members.to(x), x.shape[2:]

    def sums(values: Tensor) -> Tensor:  # (G, C), over all processes
        return all_reduce(groups.T @ values.flatten(2).sum(2) if space else groups.T @ values)

    def spread(values: Tensor) -> Tensor:  # (G, C) to (B, C, 1, ...)
        return (groups @ values).view(len(x), -1, *[1] * len(space))

    count = all_reduce(groups.sum(0)[:, None]) * space.numel()
    mean = sums(x) / count
    centered = x - spread(mean)
    var = sums(centered.square()) / count
    if layer.running_mean is not None and layer.running_var is not None:
        momentum = 0.1 if layer.momentum is None else layer.momentum
        with torch.no_grad():
            layer.running_mean.lerp_(mean.mean(0).to(layer.running_mean.dtype), momentum)
            unbiased = (var * count / (count - 1).clamp(min=1)).mean(0)
            layer.running_var.lerp_(unbiased.to(layer.running_var.dtype), momentum)
            if layer.num_batches_tracked is not None:
                layer.num_batches_tracked.add_(1)
    scale = (var + layer.eps).rsqrt()
    if not layer.affine:
        return centered * spread(scale)
    return torch.addcmul(
        layer.bias.view(-1, *[1] * len(space)), centered, spread(scale * layer.weight)
    )


def _forward(layer: Any, x: Tensor, members: Tensor) -> Tensor:
    """Applies `standardize_groups`, and the dropout and activation that timm fuses into a layer."""
    out: Tensor = standardize_groups(layer, x, members).to(x.dtype)
    return layer.act(layer.drop(out)) if hasattr(layer, "act") else out


class SyncBatchNorm(_BatchNorm):
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
        return _forward(self, input, input.new_ones(len(input), 1))


def sync_batch_norm(module: M, device: torch.device | str = "cpu") -> M:
    """Makes every batch normalization inside a module use the joined batch of all processes.

    On a CUDA device they become torch's own SyncBatchNorm, which works on no CPU; elsewhere they
    become `SyncBatchNorm` of this module. Weights are shared with the module that is given. Layers
    with frozen statistics keep them.

    Args:
        module: Changed in place; itself no batch normalization.
        device: Where it will be trained.
    """
    frozen = [name for name, layer in module.named_modules() if "train" in layer.__dict__]
    convert = _converted
    if torch.device(device).type == "cuda":
        from timm.layers import norm_act  # torch's conversion, which keeps fused activations too

        convert = norm_act.convert_sync_batchnorm
    made = dict[nn.Module, nn.Module]()  # a layer that two modules have is converted once
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm) and child not in made.values():
                made[child] = made.get(child) or convert(child)
                setattr(parent, name, made[child])
    for name in frozen:
        freeze_statistics(cast(_BatchNorm, module.get_submodule(name)))
    return module


def _converted(layer: _BatchNorm) -> SyncBatchNorm:
    synced = SyncBatchNorm(
        layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats
    )
    synced._parameters, synced._buffers = layer._parameters, layer._buffers
    synced.drop = getattr(layer, "drop", nn.Identity())
    synced.act = getattr(layer, "act", nn.Identity())
    return synced.train(layer.training)


def freeze_statistics(layer: _BatchNorm) -> None:
    """Keeps a layer, and copies of it, in evaluation mode: its running statistics stay."""
    layer.eval()
    layer.train = partial(_stay, layer)  # type: ignore[method-assign]


def _stay(layer: M, mode: bool = True) -> M:
    """Leaves a layer in the mode that it has."""
    return layer


def random_groups(x: Tensor, size: int) -> Tensor:
    """Divides the joined batch of all processes at random into groups of about `size` samples.

    Batches of fewer than two groups are halved if each half has at least eight samples.

    Args:
        x: (B, ...) samples of this process.
        size: Number of samples in a group; 0 puts all into one.

    Returns:
        (B, G), 1 where a sample of this process is in a group, else 0.
    """
    joined = len(x) * world_size()
    groups = max(joined // size, min(2, joined // 8), 1) if size else 1
    if groups == 1:
        return x.new_ones(len(x), 1)
    number = rand_shared(joined, like=x).argsort().argsort() % groups
    return one_hot(number[rank() * len(x) :][: len(x)], groups)


@contextmanager
def batch_norm_groups(network: nn.Module, members: Tensor) -> Iterator[None]:
    """Gives each group of samples its own batch statistics inside a network in training mode.

    With random groups for the queries and other ones for the keys, this is shuffling BN of MoCo
    (He et al. 2019, https://arxiv.org/abs/1911.05722), section 3.3, where the samples on one GPU
    are a group; see also https://github.com/facebookresearch/moco/issues/46. It gives the same on
    any number of processes, and images need not be exchanged between them.

    Args:
        network: Its batch normalizations are changed inside the context.
        members: (B, G) from `random_groups`, for the samples that the network is called with.
    """
    layers = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training]
    for layer in layers if members.shape[1] > 1 else ():
        layer.forward = partial(_forward, layer, members=members)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)
