"""Redundancy reduction: the cross-correlation of two views' embeddings becomes the identity.

Barlow Twins: Self-Supervised Learning via Redundancy Reduction,
Zbontar, Jing, Misra, LeCun, Deny, 2021. https://arxiv.org/abs/2103.03230
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import all_gather, full_precision, mlp, off_diagonal, two_views


@full_precision
def cross_correlation(z1: Tensor, z2: Tensor, eps: float = 1e-5) -> Tensor:
    """Computes the cross-correlation matrix (D, D) of two views over the batch (C in eq. 2).

    Args:
        z1: (B, D) embeddings of the first views.
        z2: (B, D) embeddings of the second views; row i shows the same image as row i of z1.
        eps: Added to the variances, as batch normalization does in the authors' code.
    """
    z1, z2 = ((z - z.mean(0)) / (z.var(0, correction=0) + eps).sqrt() for z in (z1, z2))
    return z1.T @ z2 / len(z1)


@full_precision
def barlow_twins_loss(c: Tensor, redundancy: float) -> Tensor:
    """Computes eq. 1, sum_i (1 - C_ii)^2 + lambda sum_(i != j) C_ij^2.

    Args:
        c: (D, D) cross-correlation matrix.
        redundancy: Weight of the second term (lambda).
    """
    return (1 - c.diagonal()).square().sum() + redundancy * off_diagonal(c).square().sum()


class BarlowTwinsConfig(Config):
    """Defaults of section 2.2; the projector is narrower, for encoders of ResNet-18's size."""

    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the projector")] = 1024
    out_dim: Annotated[int, Field(ge=2, description="dimension of the embeddings")] = 1024
    redundancy: Annotated[
        float, Field(ge=0, description="weight of the redundancy reduction (lambda in eq. 1)")
    ] = 5e-3


class BarlowTwins(Objective):
    """Barlow Twins: invariance and decorrelation through one cross-correlation matrix.

    https://arxiv.org/abs/2103.03230, eq. 1 and 2. The diagonal of the matrix is pulled towards 1
    (invariance to the augmentations) and the other elements towards 0 (no redundancy). The loss is
    a sum over dimensions and grows with `out_dim`.
    """

    paper = "https://arxiv.org/abs/2103.03230"
    Config = BarlowTwinsConfig

    def __init__(self, encoder: Encoder, config: BarlowTwinsConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(
            encoder.num_features, config.hidden_dim, config.hidden_dim, config.out_dim
        )

    @classmethod
    def views(cls, config: BarlowTwinsConfig, size: int) -> tuple[View, ...]:
        """Two views with the default augmentations."""
        return two_views(size)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes eq. 1 over the images of all processes."""
        z = self.projector(self.encoder(torch.cat(batch.views)))
        z1, z2 = (all_gather(part) for part in z.chunk(2))
        return Output(barlow_twins_loss(cross_correlation(z1, z2), self.config.redundancy))
