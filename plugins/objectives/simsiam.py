"""Predicts one view from the other; a stopped gradient is all that keeps it from collapsing.

Exploring Simple Siamese Representation Learning,
Chen, He, 2020. https://arxiv.org/abs/2011.10566
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import full_precision, mlp


@full_precision
def negative_cosine(p: Tensor, z: Tensor) -> Tensor:
    """D of eq. 1 with the gradient of z stopped, eq. 3: mean of -cos(p, z), in [-1, 1].

    Args:
        p: (B, D) predictions.
        z: (B, D) projections of the other views.
    """
    return -cosine_similarity(p, z.detach(), dim=1).mean()


class SimSiamConfig(Config):
    """Defaults of section 3 and appendix D (small images), for encoders of ResNet-18's size."""

    out: Annotated[int, Field(ge=1, description="width of projector and projections")] = 512
    bottleneck: Annotated[int, Field(ge=1, description="width inside the predictor")] = 128


class SimSiam(Objective):
    """Siamese networks without negatives, teacher or large batches."""

    paper = "https://arxiv.org/abs/2011.10566"
    Config = SimSiamConfig

    def __init__(self, encoder: Encoder, config: SimSiamConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.out, config.out, last_norm=True)
        self.predictor = mlp(config.out, config.bottleneck, config.out)

    @classmethod
    def views(cls, config: SimSiamConfig, size: int) -> tuple[View, ...]:
        """Two views of the same kind."""
        return (View(size), View(size))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        projections: Tensor = self.projector(features)
        return projections

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Symmetrized negative cosine similarity, eq. 2 and 4."""
        z = self.project(self.encoder(torch.cat(batch.views)))
        z1, z2 = z.chunk(2)
        p1, p2 = self.predictor(z).chunk(2)
        return Output(negative_cosine(p1, z2) / 2 + negative_cosine(p2, z1) / 2)
