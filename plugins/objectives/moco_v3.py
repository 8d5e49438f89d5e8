"""Predicts a moving teacher's view of an image, and tells it from the batch's other images.

An Empirical Study of Training Self-Supervised Vision Transformers,
Chen, Xie, He, 2021. https://arxiv.org/abs/2104.02057
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import all_gather, cosine_momentum, ema_, frozen_copy, full_precision, mlp


@full_precision
def similarities(q: Tensor, k: Tensor) -> Tensor:
    """Cosines (B, B) of each query with each key, in [-1, 1].

    Args:
        q: (B, D) queries.
        k: (B, D) keys.
    """
    return normalize(q, dim=1) @ normalize(k, dim=1).T


@full_precision
def contrast(similarity: Tensor, temperature: float) -> Tensor:
    """Eq. 1 with the other keys of the batch as negatives, times 2 tau as in algorithm 1.

    Args:
        similarity: (B, B) of queries and keys; row and column i show the same image.
        temperature: tau.

    Returns:
        Scalar mean over the queries, at least 0.
    """
    images = torch.arange(len(similarity), device=similarity.device)
    return 2 * temperature * cross_entropy(similarity / temperature, images)


class MoCoV3Config(Config):
    """Defaults of section 4 for ViT; widths for encoders of ResNet-18's size."""

    hidden: Annotated[int, Field(ge=1, description="width inside projector and predictor")] = 1024
    out: Annotated[int, Field(ge=1, description="width of the projections")] = 256
    temperature: Annotated[float, Field(gt=0, description="tau of eq. 1")] = 0.2
    momentum: Annotated[float, Field(ge=0, le=1, description="of the teacher at the start")] = 0.99


class MoCoV3(Objective):
    """MoCo without a queue and with a predictor; for CNN and ViT.

    The projector has two layers, as the authors' for CNNs (theirs for ViT has three). A ViT's patch
    embedding is trained; the paper freezes it, against instability of large runs.
    """

    paper = "https://arxiv.org/abs/2104.02057"
    Config = MoCoV3Config

    def __init__(self, encoder: Encoder, config: MoCoV3Config) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden, config.out, last_norm=True)
        self.predictor = mlp(config.out, config.hidden, config.out, last_norm=True)
        self.teacher_encoder = frozen_copy(self.encoder)
        self.teacher_projector = frozen_copy(self.projector)

    @classmethod
    def views(cls, config: MoCoV3Config, size: int) -> tuple[View, ...]:
        """Two views of the same kind."""
        return (View(size), View(size))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        projections: Tensor = self.projector(features)
        return projections

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Each view's prediction against the teacher's projections of the other views."""
        views = torch.cat(batch.views)
        q1, q2 = map(all_gather, self.predictor(self.project(self.encoder(views))).chunk(2))
        with torch.no_grad():
            k1, k2 = map(all_gather, self.teacher_projector(self.teacher_encoder(views)).chunk(2))
        first, second = similarities(q1, k2), similarities(q2, k1)
        tau = self.config.temperature
        own = torch.arange(len(first), device=first.device)
        accuracy = (first.argmax(dim=1) == own).float().mean()
        loss = contrast(first, tau) + contrast(second, tau)
        return Output(loss, {"contrast_accuracy": accuracy.detach()})

    def after_step(self, step: int, steps: int) -> None:
        """Moves the teacher; its momentum rises to 1."""
        momentum = cosine_momentum(step, steps, self.config.momentum)
        ema_(self.teacher_encoder, self.encoder, momentum)
        ema_(self.teacher_projector, self.projector, momentum)
