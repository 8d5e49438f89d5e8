"""Siamese networks that predict one view from the other, with a stop-gradient.

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
from ...nn import full_precision, mlp, two_views


@full_precision
def negative_cosine(p: Tensor, z: Tensor) -> Tensor:
    """Computes the mean of -cos(p, z), in [-1, 1], with stop-gradient on z (D in eq. 3).

    Args:
        p: (B, D) predictions.
        z: (B, D) projections of the other views; they get no gradient.
    """
    return -cosine_similarity(p, z.detach(), dim=1).mean()


class SimSiamConfig(Config):
    """Dimensions for encoders of ResNet-18's size: a fourth of those of section 3 for ResNet-50.

    The learning rate of the predictor falls with the others. It is constant in the authors' code,
    which gains 0.4 points on ImageNet (table 1); the kit has one schedule for all parameters.
    """

    out_dim: Annotated[int, Field(ge=1, description="dimension of the projections")] = 512
    bottleneck_dim: Annotated[int, Field(ge=1, description="hidden dimension of predictor")] = 128


class SimSiam(Objective):
    """SimSiam: the prediction from one view matches the projection of the other view.

    https://arxiv.org/abs/2011.10566, eq. 1 to 4. The gradient of the projection is stopped, which
    prevents collapse without negatives, momentum encoder or large batches.
    """

    paper = "https://arxiv.org/abs/2011.10566"
    Config = SimSiamConfig

    def __init__(self, encoder: Encoder, config: SimSiamConfig) -> None:
        super().__init__(encoder, config)
        out = config.out_dim
        self.projector = mlp(encoder.num_features, out, out, last_norm=True)
        self.predictor = mlp(out, config.bottleneck_dim, out)

    @classmethod
    def views(cls, config: SimSiamConfig, size: int) -> tuple[View, ...]:
        """Two views with the default augmentations."""
        return two_views(size)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the symmetrized negative cosine similarity, eq. 4."""
        z = self.projector(self.encoder(torch.cat(batch.views)))
        z1, z2 = z.chunk(2)
        p1, p2 = self.predictor(z).chunk(2)
        return Output(negative_cosine(p1, z2) / 2 + negative_cosine(p2, z1) / 2)
