"""A small encoder, a small batch and a few steps, for checks of objectives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.objective import Batch, Objective, TrainingInfo
from ..nn.weights import create_encoder

Kind = type[Objective]
SIZE, STEPS, IMAGES = 32, 20, 16  # pixels, steps of a training, images of a dataset


def build(
    kind: Kind, channels: int = 3, size: int = SIZE, seed: int = 0, images: int = IMAGES
) -> Objective:
    """Builds an objective on the smallest encoder that has what it needs.

    Args:
        kind: Class of the objective.
        channels: Number of input channels.
        size: Image size in pixels.
        seed: Seed of the initial weights.
        images: Number of images of the dataset.

    Raises:
        UsageError: If no small encoder has what it needs.
    """
    torch.manual_seed(seed)
    for name in ("test_resnet", "test_vit"):
        encoder = create_encoder(name, channels, size)
        if kind.needs <= encoder.provides:
            objective = kind(encoder, config_of(kind))
            statistics = (0.5,) * channels, (0.25,) * channels
            objective.prepare(TrainingInfo(images, 4, *statistics))
            return objective
    raise UsageError(f"No small encoder has {', '.join(sorted(kind.needs))}.")


def config_of(kind: Kind) -> Any:
    """Returns the options that checks build an objective with."""
    return kind.Config.model_validate(dict(kind.example))


def batch_for(objective: Objective, images: int = 8, size: int = SIZE, seed: int = 0) -> Batch:
    """Makes views of smooth random images, each a shifted and scaled version of its image."""
    random = torch.Generator().manual_seed(seed)
    channels = objective.encoder.channels
    coarse = torch.randn(images, channels, 6, 6, generator=random)
    views, frames = [], []
    for view in objective.views(objective.config, size):
        image = torch.nn.functional.interpolate(coarse, view.size + 8, mode="bicubic")
        y, x = torch.randint(0, 9, (2,), generator=random).tolist()
        gain = 0.8 + 0.4 * torch.rand(images, 1, 1, 1, generator=random)
        views.append((gain * image[..., y : y + view.size, x : x + view.size]).contiguous())
        corner = torch.tensor([[1.0, 0, x], [0, 1, y]]) / (view.size + 8)
        frames.append(corner.repeat(images, 1, 1) if view.locate else torch.zeros(images, 0, 3))
    rows = torch.arange(images)
    keys = tuple(f"image{i}" for i in range(images))
    return Batch(tuple(views), rows, rows, torch.zeros(images, 0), keys, tuple(frames))


def optimizer_for(objective: Objective) -> torch.optim.Optimizer:
    """Returns AdamW for the trainable parameters of an objective."""
    trainable = [p for p in objective.parameters() if p.requires_grad]
    return torch.optim.AdamW(trainable, lr=1e-3, fused=True)


def optimize(objective: Objective, batch: Batch, optimizer: torch.optim.Optimizer) -> Tensor:
    """Takes all phases of a step, without `after_step`, and returns the loss of the last phase."""
    for phase in range(objective.phases):
        output = objective(batch, phase)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    loss: Tensor = output.loss.detach()
    return loss


def step(objective: Objective, batch: Batch, optimizer: torch.optim.Optimizer, n: int) -> Tensor:
    """Takes training step n (from 1) and returns the loss of its last phase."""
    loss = optimize(objective, batch, optimizer)
    objective.after_step(n, STEPS)
    return loss


def trained(kind: Kind, steps: int = 3) -> tuple[Objective, torch.optim.Optimizer, Batch]:
    """Returns an objective after a few steps on one batch, with its optimizer and the batch."""
    objective = build(kind)
    batch, optimizer = batch_for(objective), optimizer_for(objective)
    for n in range(1, steps + 1):
        step(objective, batch, optimizer, n)
    return objective, optimizer, batch


def loss_of(objective: Objective, batch: Batch, seed: int = 0) -> Tensor:
    """Returns the loss of the first phase under a seed."""
    torch.manual_seed(seed)
    loss: Tensor = objective(batch, 0).loss.detach()
    return loss
