"""Contrastive learning of local features beside the whole image, for dense prediction tasks.

Dense Contrastive Learning for Self-Supervised Visual Pre-Training,
Wang, Zhang, Shen, Kong, Li, 2020. https://arxiv.org/abs/2011.09157
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import (
    FeatureQueue,
    Teacher,
    batch_norm_groups,
    mlp,
    most_similar,
    pooled_positions,
    random_groups,
    take,
    two_views,
)
from .moco import info_nce


class Projector(nn.Module):
    """The global and the dense projection head; the dense one is applied at each position."""

    def __init__(self, num_features: int, map_features: int, config: DenseCLConfig) -> None:
        super().__init__()
        self.whole = mlp(num_features, config.hidden_dim, config.out_dim)
        self.dense = mlp(map_features, config.hidden_dim, config.out_dim)


class DenseCLConfig(Config):
    """Defaults of section 4.1 on MoCo v2; queues and dimensions are those of our MoCo."""

    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of both projectors")] = 512
    out_dim: Annotated[int, Field(ge=1, description="dimension of the projections")] = 128
    temperature: Annotated[
        float, Field(gt=0, description="softmax temperature tau (eq. 1 and 2)")
    ] = 0.2
    momentum: Annotated[
        float, Field(ge=0, le=1, description="momentum of the teacher's average, paper: 0.999")
    ] = 0.99
    queue_size: Annotated[
        int, Field(ge=1, description="number of keys in each of the two queues, paper: 65536")
    ] = 4096
    group_size: Annotated[
        int,
        Field(ge=0, description="number of images that share batch statistics; 0 for all of them"),
    ] = 32
    grid_size: Annotated[
        int, Field(ge=1, description="side to which larger feature maps are pooled (S)")
    ] = 7
    dense_weight: Annotated[
        float, Field(ge=0, le=1, description="weight of the dense loss (lambda in eq. 3)")
    ] = 0.5


class DenseCL(Objective):
    """DenseCL: MoCo v2 with a second InfoNCE loss between corresponding positions of two views.

    https://arxiv.org/abs/2011.09157, eq. 1 to 4. A position corresponds to the one of the other
    view with the most similar encoder features. Dense negatives are the mean dense projections of
    earlier images. As in our MoCo, both projectors contain batch normalization, and random groups
    of images share batch statistics (shuffling BN).
    """

    paper = "https://arxiv.org/abs/2011.09157"
    Config = DenseCLConfig
    needs = frozenset({"pyramid"})
    example: ClassVar = {"queue_size": 16384, "group_size": 4}  # in a short one the loss rises

    def __init__(self, encoder: Encoder, config: DenseCLConfig) -> None:
        super().__init__(encoder, config)
        width = encoder.pyramid_shapes(encoder.image_size)[-1][0]
        self.projector = Projector(encoder.num_features, width, config)
        self.teacher = Teacher(encoder, self.projector)
        self.queue = FeatureQueue(config.queue_size, config.out_dim)
        self.dense_queue = FeatureQueue(config.queue_size, config.out_dim)

    @classmethod
    def views(cls, config: DenseCLConfig, size: int) -> tuple[View, ...]:
        """Query and key, with the default augmentations."""
        return two_views(size)

    def project(self, features: Tensor) -> Tensor:
        """Maps features (B, D) to global projections (B, out_dim)."""
        projections: Tensor = self.projector.whole(features)
        return projections

    def embed(
        self, x: Tensor, encoder: Encoder, projector: Projector
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embeds images (B, C, H, W) with the networks of the student or of the teacher.

        Returns:
            Normalized projections (B, out_dim), local features (B, N, D) and their projections
            (B, N, out_dim).
        """
        members = random_groups(x, self.config.group_size)
        with batch_norm_groups(encoder, members), batch_norm_groups(projector.whole, members):
            pooled, pyramid = encoder.forward_features(x)
            whole = normalize(projector.whole(pooled), dim=1)
        local = pooled_positions(pyramid[-1], self.config.grid_size)
        with batch_norm_groups(projector.dense, members.repeat_interleave(local.shape[1], dim=0)):
            projected = projector.dense(local.flatten(0, 1)).view(*local.shape[:2], -1)
        return whole, local, projected

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes eq. 3; then the keys join the queues."""
        query, key = batch.views
        q, f1, r = self.embed(query, self.encoder, self.projector)
        with torch.no_grad():
            k, f2, t = self.embed(key, self.teacher.encoder, self.teacher.projector)
            positive = take(t, most_similar(f1, f2))
        temperature, weight = self.config.temperature, self.config.dense_weight
        r, positive = (normalize(x.flatten(0, 1), dim=1) for x in (r, positive))
        whole, _ = info_nce(q, k, self.queue(), temperature)
        dense, _ = info_nce(r, positive, self.dense_queue(), temperature)
        self.queue.push(k)
        self.dense_queue.push(normalize(t.mean(dim=1), dim=1))
        metrics = {"global_loss": whole.detach(), "dense_loss": dense.detach()}
        return Output((1 - weight) * whole + weight * dense, metrics)

    def after_step(self, step: int, steps: int) -> None:
        """Updates the teacher."""
        self.teacher.update(self.encoder, self.projector, momentum=self.config.momentum)
