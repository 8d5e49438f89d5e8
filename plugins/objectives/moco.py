"""Contrasts an image with a queue of images that a slowly moving teacher saw before.

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
from ...nn import FeatureQueue, ema_, frozen_copy, full_precision, mlp


@full_precision
def info_nce(q: Tensor, k: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """InfoNCE, eq. 1 of MoCo: each query against its key and the queue.

    Args:
        q: (B, D) queries of unit length.
        k: (B, D) keys of unit length; row i shows the same image as row i of q.
        queue: (Q, D) keys of other images, of unit length.
        temperature: tau.

    Returns:
        Scalar mean over the queries.
    """
    positive = (q * k).sum(dim=1, keepdim=True)  # (B, 1)
    logits = torch.cat([positive, q @ queue.T], dim=1) / temperature  # (B, 1 + Q)
    return cross_entropy(logits, torch.zeros(len(q), dtype=torch.long, device=q.device))


class MoCoConfig(Config):
    """Temperature of MoCo v2; the rest as suits encoders of ResNet-18's size and short runs.

    The paper's queue of 65,536 is for a set of a million, its momentum of 0.999 for 10^6 steps.
    """

    hidden: Annotated[int, Field(ge=1, description="width inside the projector")] = 512
    out: Annotated[int, Field(ge=1, description="width of the projections")] = 128
    temperature: Annotated[float, Field(gt=0, description="tau of eq. 1")] = 0.2
    momentum: Annotated[float, Field(ge=0, le=1, description="m of eq. 2")] = 0.99
    queue: Annotated[int, Field(ge=1, description="keys that are remembered")] = 4096


class MoCo(Objective):
    """MoCo v2: many negatives without a large batch.

    Keys and queries are normalized by separate batches, so that no image sees its own statistics;
    the paper's shuffling among GPUs is not needed beside batch statistics of all processes.
    """

    paper = "https://arxiv.org/abs/2003.04297"
    Config = MoCoConfig
    example: ClassVar = {"queue": 16384}  # so long that few random rows leave: the loss rises then

    def __init__(self, encoder: Encoder, config: MoCoConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden, config.out)
        self.teacher_encoder = frozen_copy(self.encoder)
        self.teacher_projector = frozen_copy(self.projector)
        self.queue = FeatureQueue(config.queue, config.out)

    @classmethod
    def views(cls, config: MoCoConfig, size: int) -> tuple[View, ...]:
        """Query and key, of the same kind."""
        return (View(size), View(size))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        projections: Tensor = self.projector(features)
        return projections

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """InfoNCE of the first view's query and the second view's key."""
        query, key = batch.views
        q = normalize(self.project(self.encoder(query)), dim=1)
        with torch.no_grad():
            k = normalize(self.teacher_projector(self.teacher_encoder(key)), dim=1)
        loss = info_nce(q, k, self.queue(), self.config.temperature)
        self.queue.push(k)
        return Output(loss)

    def after_step(self, step: int, steps: int) -> None:
        """Moves the teacher, eq. 2."""
        ema_(self.teacher_encoder, self.encoder, self.config.momentum)
        ema_(self.teacher_projector, self.projector, self.config.momentum)
