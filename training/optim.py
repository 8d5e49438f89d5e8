"""Optimizers, parameter groups and the schedules of learning rate and weight decay."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from timm.optim import create_optimizer_v2, param_groups_weight_decay  # type: ignore[attr-defined]
from torch import nn

from ..nn.decay import without_weight_decay
from ..nn.layers import HEAD, layer_numbers
from .settings import OptimizerConfig

_BATCH = 256  # images per step that the learning rate is given for


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Returns the optimizer.

    Args:
        model: An objective with its initial weights.
        config: Options of the optimizer. `layer_decay` and `anchor` need the objective's encoder.

    Biases, normalization layers, lone vectors (mask tokens, layer scales) and what modules name in
    `no_weight_decay()` (class tokens and position embeddings of timm's models) have no weight
    decay.
    """
    extra: dict[str, Any] = {} if config.name == "adamw" else {"momentum": config.momentum}
    if config.name == "sgd":
        extra["nesterov"] = config.momentum > 0  # torch refuses it without momentum
    if config.name != "lars":
        extra["fused"] = True  # one pass over the weights: 6 times faster on a CPU
    largest = max(config.weight_decay, config.weight_decay_end or 0.0)
    groups = param_groups_weight_decay(
        model, largest, no_weight_decay_list=without_weight_decay(model)
    )
    for group in groups:
        group["decays"] = group["weight_decay"] > 0
    if config.layer_decay < 1:
        groups = _by_layer(groups, model, config.layer_decay)
    optimizer: torch.optim.Optimizer = create_optimizer_v2(
        groups, opt=config.name, lr=config.lr, weight_decay=config.weight_decay, **extra
    )
    set_weight_decay(optimizer, config.weight_decay)
    if config.anchor:
        encoder: Any = model.encoder
        optimizer.register_step_post_hook(Anchor(encoder.body.parameters(), config.anchor))
    return optimizer


def _by_layer(
    groups: Iterable[dict[str, Any]], model: nn.Module, decay: float
) -> list[dict[str, Any]]:
    """Splits parameter groups by layer, with `lr_scale` = decay^(distance from the head).

    BEiT (Bao et al. 2021, https://arxiv.org/abs/2106.08254), appendix H. What belongs to no layer
    of the encoder, such as projectors, has the scale 1.
    """
    encoder: Any = model.encoder
    numbers = layer_numbers(encoder.body)
    head = numbers.pop(HEAD)
    depth = {p: head - numbers[name] for name, p in encoder.body.named_parameters()}
    parts: dict[tuple[int, int], dict[str, Any]] = {}
    for number, group in enumerate(groups):
        for parameter in group["params"]:
            distance = depth.get(parameter, 0)
            empty = {**group, "params": [], "lr_scale": decay**distance}
            parts.setdefault((distance, number), empty)["params"].append(parameter)
    return list(parts.values())


class Anchor:
    """Pulls weights to where they started after each step: p -= lr alpha (p - start).

    L2-SP (Li et al. 2018, https://arxiv.org/abs/1802.01483), eq. 5 without the term of the new
    layers. Weight decay, which the paper leaves out for these weights, stays. The pull is decoupled
    from the gradient, as weight decay is in AdamW, so that it does not depend on the optimizer.

    Args:
        weights: Parameters with their initial values; those that are frozen are left out.
        strength: alpha, 0 or more.
    """

    def __init__(self, weights: Iterable[nn.Parameter], strength: float) -> None:
        self._start = {p: p.detach().clone() for p in weights if p.requires_grad}
        self._strength = strength

    @torch.no_grad()
    def __call__(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Changes the weights; called by the optimizer."""
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter in self._start:
                    start = self._start[parameter] = self._start[parameter].to(parameter.device)
                    parameter.lerp_(start, min(1.0, group["lr"] * self._strength))


def learning_rate(step: int, steps: int, config: OptimizerConfig, images: int) -> float:
    """Returns the learning rate of a step: linear warm-up, then a half cosine.

    The peak is `config.lr` for 256 images a step. With their number it grows linearly (Goyal et
    al. 2017, https://arxiv.org/abs/1706.02677), with the square root (Malladi et al. 2022,
    https://arxiv.org/abs/2205.10287, for adaptive optimizers) or not at all.

    Args:
        step: Number of the step, from 0.
        steps: Length of the schedule.
        config: Peak learning rate, its scaling, warm-up and final learning rate.
        images: Number of images in an optimizer step: of all processes and accumulated batches.
    """
    ratio = images / _BATCH
    peak = config.lr * {"linear": ratio, "sqrt": math.sqrt(ratio), "none": 1.0}[config.scaling]
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
