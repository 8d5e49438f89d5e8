"""Makes two views agree while every dimension keeps its variance and none repeats another.

VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning,
Bardes, Ponce, LeCun, 2022. https://arxiv.org/abs/2105.04906
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import mse_loss, relu

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import all_gather, full_precision, mlp, off_diagonal


@full_precision
def invariance(z1: Tensor, z2: Tensor) -> Tensor:
    """Invariance s of eq. 5: mean squared difference; over elements, as in the authors' code.

    Args:
        z1: (B, D) embeddings of the first views.
        z2: (B, D) embeddings of the second views.
    """
    return mse_loss(z1, z2)


@full_precision
def variance(z: Tensor, eps: float = 1e-4) -> Tensor:
    """Variance v of eq. 1 with gamma = 1: hinge on the standard deviation of each dimension.

    Args:
        z: (B, D) embeddings.
        eps: Added to the variance.
    """
    return relu(1 - (z.var(dim=0) + eps).sqrt()).mean()


@full_precision
def covariance(z: Tensor) -> Tensor:
    """Covariance c of eq. 4: squared off-diagonal covariances, summed and divided by D.

    Args:
        z: (B, D) embeddings.
    """
    z = z - z.mean(dim=0)
    cov = z.T @ z / (len(z) - 1)  # (D, D)
    return off_diagonal(cov).square().sum() / z.shape[1]


class VICRegConfig(Config):
    """Defaults of section 4.2; the expander is narrower, as suits short runs."""

    hidden: Annotated[int, Field(ge=1, description="width of the expander's layers")] = 1024
    out: Annotated[int, Field(ge=2, description="width of the embeddings")] = 1024
    invariance: Annotated[float, Field(ge=0, description="lambda of eq. 6")] = 25.0
    variance: Annotated[float, Field(ge=0, description="mu of eq. 6")] = 25.0
    covariance: Annotated[float, Field(ge=0, description="nu of eq. 6")] = 1.0


class VICReg(Objective):
    """Invariance with explicit terms against collapse."""

    paper = "https://arxiv.org/abs/2105.04906"
    Config = VICRegConfig

    def __init__(self, encoder: Encoder, config: VICRegConfig) -> None:
        super().__init__(encoder, config)
        self.expander = mlp(encoder.num_features, config.hidden, config.hidden, config.out)

    @classmethod
    def views(cls, config: VICRegConfig, size: int) -> tuple[View, ...]:
        """Two views of the same kind."""
        return (View(size), View(size))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        embeddings: Tensor = self.expander(features)
        return embeddings

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Weighted sum of the three terms, eq. 6 (variance halved as in the authors' code)."""
        z = self.project(self.encoder(torch.cat(batch.views)))
        z1, z2 = (all_gather(part) for part in z.chunk(2))
        inv = invariance(z1, z2)
        var = (variance(z1) + variance(z2)) / 2
        cov = covariance(z1) + covariance(z2)
        c = self.config
        loss = c.invariance * inv + c.variance * var + c.covariance * cov
        terms = {"invariance": inv, "variance": var, "covariance": cov}
        return Output(loss, {name: term.detach() for name, term in terms.items()})
