"""Contrastive learning between images and momentum-updated groups of images.

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
    Teacher,
    accuracy,
    all_gather,
    cosine_momentum,
    cosine_scores,
    full_precision,
    kmeans,
    mlp,
    two_views,
)


@full_precision
def moved_groups(groups: Tensor, z: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Updates groups by momentum grouping, section 3.2: g_k = beta g_k + (1 - beta) mean member.

    The gradient flows through the groups to z, so that both are learned synchronously.

    Args:
        groups: (K, D) normalized group features.
        z: (B, D) features; they are normalized here.
        labels: (B,) group of each row.
        beta: Momentum of the groups.

    Returns:
        (K, D) normalized group features; a group without members does not change.
    """
    members = one_hot(labels, len(groups)).to(groups)  # (B, K)
    counts = members.sum(dim=0)[:, None]
    means = members.T @ normalize(z, dim=1) / counts.clamp(min=1)
    return normalize(torch.lerp(groups, means, (1 - beta) * counts.clamp(max=1)), dim=1)


@full_precision
def group_contrast(scores: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Computes -1/B sum_i ln(exp(s_i,c(i) / tau) / sum_k exp(s_ik / tau)), section 3.2.

    Args:
        scores: (B, K) cosine similarities to the groups.
        labels: (B,) group of each row (c(i)).
        temperature: Temperature of the softmax (tau).
    """
    return cross_entropy(scores / temperature, labels)


class SMoGConfig(Config):
    """Defaults of section 4; groups, cache and dimensions suit thousands of images and ResNet-18.

    The paper has 3000 groups for a million images, which are reset every 300 steps, and a momentum
    of the teacher of 0.999.
    """

    hidden_dim: Annotated[
        int, Field(ge=1, description="hidden dimension of projector and predictor")
    ] = 512
    out_dim: Annotated[int, Field(ge=1, description="dimension of the projections")] = 128
    num_groups: Annotated[int, Field(ge=2, description="number of groups (K)")] = 128
    beta: Annotated[float, Field(ge=0, le=1, description="momentum of the groups (beta)")] = 0.99
    temperature: Annotated[float, Field(gt=0, description="softmax temperature tau")] = 0.1
    momentum: Annotated[
        float, Field(ge=0, le=1, description="initial momentum of the teacher (alpha)")
    ] = 0.99
    cache_size: Annotated[
        int, Field(ge=1, description="number of cached images that reset the groups")
    ] = 2048


class SMoG(Objective):
    """SMoG: predictions are contrasted with groups that are updated at every step.

    https://arxiv.org/abs/2207.06167, section 3.2. A view moves the group that is nearest to its own
    projection, and predicts the group that is nearest to the teacher's projection of the other
    view. Groups start at random and are reset by k-means of cached features each time
    the cache has been refilled, so that no group stays empty.
    """

    paper = "https://arxiv.org/abs/2207.06167"
    Config = SMoGConfig
    groups: Tensor
    regrouped: Tensor

    def __init__(self, encoder: Encoder, config: SMoGConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden_dim, config.out_dim)
        self.predictor = mlp(config.out_dim, config.hidden_dim, config.out_dim)
        self.teacher = Teacher(encoder, self.projector)
        self.queue = FeatureQueue(config.cache_size, config.out_dim)
        self.register_buffer("groups", normalize(torch.randn(config.num_groups, config.out_dim)))
        self.register_buffer("regrouped", torch.zeros((), dtype=torch.long))

    @classmethod
    def views(cls, config: SMoGConfig, size: int) -> tuple[View, ...]:
        """Two views with the default augmentations."""
        return two_views(size)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Assigns the views, updates the groups, and contrasts predictions with them."""
        views = torch.cat(batch.views)
        z = self.projector(self.encoder(views))
        first, second = self.teacher(views).chunk(2)
        swapped, own = all_gather(torch.cat([second, first])), all_gather(z)
        labels = cosine_scores(swapped, self.groups).argmax(dim=1)
        members = cosine_scores(own.detach(), self.groups).argmax(dim=1)
        groups = moved_groups(self.groups, own, members, self.config.beta)
        scores = cosine_scores(all_gather(self.predictor(z)), groups)
        self.groups.copy_(groups.detach())
        self.queue.push(normalize(first, dim=1))
        share = one_hot(labels, len(groups)).to(groups).mean(dim=0).detach()
        entropy = torch.special.entr(share).sum()  # of the batch; 0 if all images share a group
        metrics = {"accuracy": accuracy(scores, labels), "group_entropy": entropy}
        return Output(group_contrast(scores, labels, self.config.temperature), metrics)

    def after_step(self, step: int, steps: int) -> None:
        """Updates the teacher, and resets the groups when the cache has been refilled."""
        momentum = cosine_momentum(step, steps, self.config.momentum)
        self.teacher.update(self.encoder, self.projector, momentum=momentum)
        fillings = self.queue.pushed // len(self.queue)
        if fillings > self.regrouped:
            self.regrouped.copy_(fillings)
            self.groups.copy_(normalize(kmeans(self.queue(), len(self.groups)), dim=1))
