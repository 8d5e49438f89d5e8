"""Contrastive learning with a momentum encoder and a predictor, without a queue.

An Empirical Study of Training Self-Supervised Vision Transformers,
Chen, Xie, He, 2021. https://arxiv.org/abs/2104.02057
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import (
    Teacher,
    accuracy,
    all_gather,
    cosine_momentum,
    cosine_scores,
    full_precision,
    mlp,
    two_views,
)


@full_precision
def contrast(similarity: Tensor, temperature: float) -> Tensor:
    """Computes eq. 1 with the batch's other keys as negatives, times 2 tau as in algorithm 1.

    Args:
        similarity: (B, B) cosine similarities of queries and keys of the same images.
        temperature: Temperature of the softmax (tau).

    Returns:
        Scalar mean over the queries, at least 0.
    """
    images = torch.arange(len(similarity), device=similarity.device)
    return 2 * temperature * cross_entropy(similarity / temperature, images)


class MoCoV3Config(Config):
    """Defaults of section 4 for ViT; the dimensions suit encoders of ResNet-18's size."""

    hidden_dim: Annotated[
        int, Field(ge=1, description="hidden dimension of projector and predictor")
    ] = 1024
    out_dim: Annotated[int, Field(ge=1, description="dimension of the projections")] = 256
    temperature: Annotated[float, Field(gt=0, description="softmax temperature tau (eq. 1)")] = 0.2
    momentum: Annotated[
        float, Field(ge=0, le=1, description="initial momentum of the teacher (m in algorithm 1)")
    ] = 0.99


class MoCoV3(Objective):
    """MoCo v3: a predicted query matches the teacher's key of the other view, within the batch.

    https://arxiv.org/abs/2104.02057, eq. 1 and algorithm 1; for CNN and ViT. The projector has two
    layers, as the authors' for CNNs (three for ViT). The patch embedding of a ViT is trained,
    whereas the paper freezes it against instability in large-scale training.
    """

    paper = "https://arxiv.org/abs/2104.02057"
    Config = MoCoV3Config

    def __init__(self, encoder: Encoder, config: MoCoV3Config) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(
            encoder.num_features, config.hidden_dim, config.out_dim, last_norm=True
        )
        self.predictor = mlp(config.out_dim, config.hidden_dim, config.out_dim, last_norm=True)
        self.teacher = Teacher(encoder, self.projector)

    @classmethod
    def views(cls, config: MoCoV3Config, size: int) -> tuple[View, ...]:
        """Two views with the default augmentations."""
        return two_views(size)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Contrasts the prediction of each view with the teacher's projections of the other."""
        views = torch.cat(batch.views)
        q1, q2 = map(all_gather, self.predictor(self.projector(self.encoder(views))).chunk(2))
        k1, k2 = map(all_gather, self.teacher(views).chunk(2))
        first, second = cosine_scores(q1, k2), cosine_scores(q2, k1)
        tau = self.config.temperature
        images = torch.arange(len(first), device=first.device)
        loss = contrast(first, tau) + contrast(second, tau)
        return Output(loss, {"contrast_accuracy": accuracy(first, images)})

    def after_step(self, step: int, steps: int) -> None:
        """Updates the teacher, with a momentum that rises to 1."""
        momentum = cosine_momentum(step, steps, self.config.momentum)
        self.teacher.update(self.encoder, self.projector, momentum=momentum)
