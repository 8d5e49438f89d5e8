"""Contrastive learning against a queue of keys from a momentum encoder.

Momentum Contrast for Unsupervised Visual Representation Learning,
He, Fan, Wu, Xie, Girshick, 2019. https://arxiv.org/abs/1911.05722
Improved Baselines with Momentum Contrastive Learning (MoCo v2),
Chen, Fan, Girshick, He, 2020. https://arxiv.org/abs/2003.04297
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import (
    FeatureQueue,
    Teacher,
    accuracy,
    batch_norm_groups,
    full_precision,
    mlp,
    random_groups,
    two_views,
)


@full_precision
def info_nce(q: Tensor, k: Tensor, queue: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Computes InfoNCE, eq. 1 of MoCo, of each query against its key and the queue.

    Args:
        q: (B, D) queries of unit length.
        k: (B, D) keys of unit length; row i shows the same image as row i of q.
        queue: (Q, D) keys of other images, of unit length.
        temperature: Temperature of the softmax (tau).

    Returns:
        Mean loss of the queries, and the share of queries that are nearest to their key.
    """
    positive = (q * k).sum(dim=1, keepdim=True)  # (B, 1)
    logits = torch.cat([positive, q @ queue.T], dim=1) / temperature  # (B, 1 + Q)
    key = torch.zeros(len(q), dtype=torch.long, device=q.device)
    return cross_entropy(logits, key), accuracy(logits, key)


class MoCoConfig(Config):
    """The temperature of MoCo v2; the rest suits encoders of ResNet-18's size and short training.

    The paper has a queue of 65,536 keys for a million images, and a momentum of 0.999.
    """

    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the projector")] = 512
    out_dim: Annotated[int, Field(ge=1, description="dimension of the projections")] = 128
    temperature: Annotated[float, Field(gt=0, description="softmax temperature tau (eq. 1)")] = 0.2
    momentum: Annotated[
        float, Field(ge=0, le=1, description="momentum of the teacher's average (m in eq. 2)")
    ] = 0.99
    queue_size: Annotated[int, Field(ge=1, description="number of keys in the queue (K)")] = 4096
    group_size: Annotated[
        int,
        Field(ge=0, description="number of images that share batch statistics; 0 for all of them"),
    ] = 32


class MoCo(Objective):
    """MoCo v2: a query matches its key among a queue of keys of earlier images.

    https://arxiv.org/abs/1911.05722, eq. 1 and 2, with the projector of
    https://arxiv.org/abs/2003.04297. The queue gives many negatives without a large batch.
    Batch normalization has separate statistics for random groups of images, others for the keys
    than for the queries (shuffling BN; a group is one GPU's 32 images in the paper). With the
    statistics of the whole batch a key could be told from the queue's keys by its statistics.
    """

    paper = "https://arxiv.org/abs/2003.04297"
    Config = MoCoConfig
    # in a short queue keys replace random rows, and the loss rises
    example: ClassVar = {"queue_size": 16384, "group_size": 4}

    def __init__(self, encoder: Encoder, config: MoCoConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden_dim, config.out_dim)
        self.teacher = Teacher(encoder, self.projector)
        self.queue = FeatureQueue(config.queue_size, config.out_dim)

    @classmethod
    def views(cls, config: MoCoConfig, size: int) -> tuple[View, ...]:
        """Query and key, with the default augmentations."""
        return two_views(size)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes InfoNCE of the first view's query and the second view's key."""
        query, key = batch.views
        with batch_norm_groups(self, random_groups(query, self.config.group_size)):
            q = normalize(self.projector(self.encoder(query)), dim=1)
        with batch_norm_groups(self.teacher, random_groups(key, self.config.group_size)):
            k = normalize(self.teacher(key), dim=1)
        loss, nearest = info_nce(q, k, self.queue(), self.config.temperature)
        self.queue.push(k)
        return Output(loss, {"contrast_accuracy": nearest})

    def after_step(self, step: int, steps: int) -> None:
        """Updates the teacher, eq. 2."""
        self.teacher.update(self.encoder, self.projector, momentum=self.config.momentum)
