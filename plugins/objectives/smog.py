"""Contrasts an image with groups of images that move along while the features are learned.

Unsupervised Visual Representation Learning by Synchronous Momentum Grouping,
Pang, Zhang, Li, Cai, Lu, 2022. https://arxiv.org/abs/2207.06167
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import (
    FeatureQueue,
    all_gather,
    cosine_momentum,
    ema_,
    frozen_copy,
    full_precision,
    kmeans,
    mlp,
)


@full_precision
def cosines(z: Tensor, groups: Tensor) -> Tensor:
    """Cosine similarities (B, K) of features (B, D) and groups (K, D)."""
    return normalize(z, dim=1) @ normalize(groups, dim=1).T


@full_precision
def moved_groups(groups: Tensor, z: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Momentum grouping, section 3.2: g_k <- beta g_k + (1 - beta) mean of its members.

    The gradient reaches z: groups and features are learned synchronously.

    Args:
        groups: (K, D) of unit length.
        z: (B, D) features; their length does not matter.
        labels: (B,) group of each row.
        beta: Momentum.

    Returns:
        (K, D) of unit length; a group without members stays.
    """
    members = one_hot(labels, len(groups)).to(groups)  # (B, K)
    counts = members.sum(dim=0)[:, None]
    means = members.T @ normalize(z, dim=1) / counts.clamp(min=1)
    return normalize(torch.lerp(groups, means, (1 - beta) * counts.clamp(max=1)), dim=1)


@full_precision
def group_contrast(scores: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Contrast of instances with groups, section 3.2.

    -1/B sum_i ln(exp(s_i,c(i) / tau) / sum_k exp(s_ik / tau))

    Args:
        scores: (B, K) cosine similarities to the groups.
        labels: (B,) c(i), the group of each row.
        temperature: tau.
    """
    return cross_entropy(scores / temperature, labels)


class SMoGConfig(Config):
    """Defaults of section 4; groups, cache and widths as suit thousands of images and ResNet-18.

    The paper has 3000 groups for a million images, made anew after 300 steps, and a teacher's
    momentum of 0.999.
    """

    hidden: Annotated[int, Field(ge=1, description="width inside projector and predictor")] = 512
    out: Annotated[int, Field(ge=1, description="width of the projections")] = 128
    groups: Annotated[int, Field(ge=2, description="K")] = 128
    beta: Annotated[float, Field(ge=0, le=1, description="momentum of the groups")] = 0.99
    temperature: Annotated[float, Field(gt=0, description="tau")] = 0.1
    momentum: Annotated[float, Field(ge=0, le=1, description="of the teacher at the start")] = 0.99
    cache: Annotated[int, Field(ge=1, description="images that groups are made of anew")] = 2048


class SMoG(Objective):
    """Group-level contrast with momentum grouping.

    The teacher's features of the other view say which group a view belongs to. Groups start at
    random, and are made anew by k-means each time the cache is full, so that none stays empty.
    """

    paper = "https://arxiv.org/abs/2207.06167"
    Config = SMoGConfig
    groups: Tensor
    regrouped: Tensor

    def __init__(self, encoder: Encoder, config: SMoGConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden, config.out)
        self.predictor = mlp(config.out, config.hidden, config.out)
        self.teacher_encoder = frozen_copy(self.encoder)
        self.teacher_projector = frozen_copy(self.projector)
        self.queue = FeatureQueue(config.cache, config.out)
        self.register_buffer("groups", normalize(torch.randn(config.groups, config.out)))
        self.register_buffer("regrouped", torch.zeros((), dtype=torch.long))

    @classmethod
    def views(cls, config: SMoGConfig, size: int) -> tuple[View, ...]:
        """Two views of the same kind."""
        return (View(size), View(size))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        projections: Tensor = self.projector(features)
        return projections

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Assigns, moves the groups, and contrasts predictions with them."""
        views = torch.cat(batch.views)
        z = self.project(self.encoder(views))
        with torch.no_grad():
            first, second = self.teacher_projector(self.teacher_encoder(views)).chunk(2)
            other = all_gather(torch.cat([second, first]))
            labels = cosines(other, self.groups).argmax(dim=1)
        groups = moved_groups(self.groups, all_gather(z), labels, self.config.beta)
        scores = cosines(all_gather(self.predictor(z)), groups)
        self.groups.copy_(groups.detach())
        self.queue.push(normalize(first, dim=1))
        share = one_hot(labels, len(groups)).to(groups).mean(dim=0).detach()
        metrics = {
            "accuracy": (scores.argmax(dim=1) == labels).float().mean(),
            "group_entropy": torch.special.entr(share).sum(),  # of the batch; 0: one for all
        }
        return Output(group_contrast(scores, labels, self.config.temperature), metrics)

    def after_step(self, step: int, steps: int) -> None:
        """Moves the teacher; makes the groups anew when the cache is full again."""
        momentum = cosine_momentum(step, steps, self.config.momentum)
        ema_(self.teacher_encoder, self.encoder, momentum)
        ema_(self.teacher_projector, self.projector, momentum)
        fillings = self.queue.pushed // len(self.queue)
        if fillings > self.regrouped:
            self.regrouped.copy_(fillings)
            self.groups.copy_(normalize(kmeans(self.queue(), len(self.groups)), dim=1))
