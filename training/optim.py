"""Optimizers, parameter groups and the schedules of learning rate and weight decay."""

from __future__ import annotations

import math
from typing import Any

import torch
from timm.optim import create_optimizer_v2, param_groups_weight_decay  # type: ignore[attr-defined]
from torch import nn

from ..nn.decay import without_weight_decay
from .settings import OptimizerConfig


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Returns the optimizer.

    Biases, normalization layers, lone vectors (mask tokens, layer scales) and what modules name in
    `no_weight_decay()` (class tokens and position embeddings of timm's models) have no weight
    decay.
    """
    extra: dict[str, Any] = {} if config.name == "adamw" else {"momentum": config.momentum}
    if config.name != "lars":
        extra["fused"] = True  # one pass over the weights: 6 times faster on a CPU
    largest = max(config.weight_decay, config.weight_decay_end or 0.0)
    groups = param_groups_weight_decay(
        model, largest, no_weight_decay_list=without_weight_decay(model)
    )
    for group in groups:
        group["decays"] = group["weight_decay"] > 0
    optimizer: torch.optim.Optimizer = create_optimizer_v2(
        groups, opt=config.name, lr=config.lr, weight_decay=config.weight_decay, **extra
    )
    set_weight_decay(optimizer, config.weight_decay)
    return optimizer


def learning_rate(step: int, steps: int, config: OptimizerConfig, images: int) -> float:
    """Returns the learning rate of a step: linear warm-up, then a half cosine.

    The peak is `config.lr` for 256 images a step, scaled linearly with their number (Goyal et al.
    2017, https://arxiv.org/abs/1706.02677).

    Args:
        step: Number of the step, from 0.
        steps: Length of the schedule.
        config: Peak learning rate, warm-up and final learning rate.
        images: Number of images in an optimizer step: of all processes and accumulated batches.
    """
    peak = config.lr * images / 256
    warmup = config.warmup * steps
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return half_cosine(peak, peak * config.final_lr, (step - warmup) / max(1.0, steps - warmup))


def weight_decay(step: int, steps: int, config: OptimizerConfig) -> float:
    """Returns the weight decay of a step: constant, or a half cosine to `weight_decay_end`.

    DINO (Caron et al. 2021, https://arxiv.org/abs/2104.14294), section 3.2, "Implementation
    details".

    Args:
        step: Number of the step, from 0.
        steps: Length of the schedule.
        config: Initial and final weight decay.
    """
    end = config.weight_decay if config.weight_decay_end is None else config.weight_decay_end
    return half_cosine(config.weight_decay, end, step / steps)


def half_cosine(first: float, last: float, progress: float) -> float:
    """Returns the value between `first` and `last` on half a cosine, at a progress from 0 to 1."""
    return last + (first - last) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Sets the learning rate of all parameter groups; a group's `lr_scale` multiplies it."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def set_weight_decay(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Sets the weight decay of the parameter groups that `make_optimizer` has marked."""
    for group in optimizer.param_groups:
        if group["decays"]:
            group["weight_decay"] = value
