"""Makes the cross-correlation of two views' dimensions the identity: invariant, not redundant.

Barlow Twins: Self-Supervised Learning via Redundancy Reduction,
Zbontar, Jing, Misra, LeCun, Deny, 2021. https://arxiv.org/abs/2103.03230
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import all_gather, full_precision, mlp, off_diagonal


@full_precision
def cross_correlation(z1: Tensor, z2: Tensor, eps: float = 1e-5) -> Tensor:
    """C of eq. 2: correlation (D, D) of each dimension of one view with each of the other.

    Args:
        z1: (B, D) embeddings of the first views.
        z2: (B, D) embeddings of the second views; row i shows the same image as row i of z1.
        eps: Added to the variances, as batch normalization does in the authors' code.
    """
    z1, z2 = ((z - z.mean(0)) / (z.var(0, correction=0) + eps).sqrt() for z in (z1, z2))
    return z1.T @ z2 / len(z1)


@full_precision
def barlow_twins_loss(c: Tensor, redundancy: float) -> Tensor:
    """Eq. 1: sum of (1 - C_ii)^2, plus lambda times the sum of C_ij^2 over i != j.

    Args:
        c: (D, D) cross-correlation.
        redundancy: lambda.
    """
    return (1 - c.diagonal()).square().sum() + redundancy * off_diagonal(c).square().sum()


class BarlowTwinsConfig(Config):
    """Defaults of section 2.2; the projector is narrower, as suits encoders of ResNet-18's size."""

    hidden: Annotated[int, Field(ge=1, description="width of the projector's layers")] = 1024
    out: Annotated[int, Field(ge=2, description="width of the embeddings")] = 1024
    redundancy: Annotated[float, Field(ge=0, description="lambda of eq. 1")] = 5e-3


class BarlowTwins(Objective):
    """Redundancy reduction; the loss is a sum over dimensions, so it grows with their number."""

    paper = "https://arxiv.org/abs/2103.03230"
    Config = BarlowTwinsConfig

    def __init__(self, encoder: Encoder, config: BarlowTwinsConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden, config.hidden, config.out)

    @classmethod
    def views(cls, config: BarlowTwinsConfig, size: int) -> tuple[View, ...]:
        """Two views of the same kind."""
        return (View(size), View(size))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        embeddings: Tensor = self.projector(features)
        return embeddings

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Eq. 1 over the joined batch of all processes."""
        z = self.project(self.encoder(torch.cat(batch.views)))
        z1, z2 = (all_gather(part) for part in z.chunk(2))
        return Output(barlow_twins_loss(cross_correlation(z1, z2), self.config.redundancy))
