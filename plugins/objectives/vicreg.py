"""Invariance of two views, with a variance and a covariance term against collapse.

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
from ...nn import all_gather, full_precision, mlp, off_diagonal, two_views


@full_precision
def invariance(z1: Tensor, z2: Tensor) -> Tensor:
    """Computes the invariance term (s in eq. 5), as a mean over elements as in the authors' code.

    Args:
        z1: (B, D) embeddings of the first views.
        z2: (B, D) embeddings of the second views.
    """
    return mse_loss(z1, z2)


@full_precision
def variance(z: Tensor, eps: float = 1e-4) -> Tensor:
    """Computes the variance term (v in eq. 1, gamma = 1), a hinge on the standard deviations.

    Args:
        z: (B, D) embeddings.
        eps: Added to the variance.
    """
    return relu(1 - (z.var(dim=0) + eps).sqrt()).mean()


@full_precision
def covariance(z: Tensor) -> Tensor:
    """Computes the covariance term (c in eq. 4), the sum of squared covariances divided by D.

    Args:
        z: (B, D) embeddings.
    """
    z = z - z.mean(dim=0)
    cov = z.T @ z / (len(z) - 1)  # (D, D)
    return off_diagonal(cov).square().sum() / z.shape[1]


class VICRegConfig(Config):
    """Defaults of section 4.2; the expander is narrower, for short training."""

    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the expander")] = 1024
    out_dim: Annotated[int, Field(ge=2, description="dimension of the embeddings")] = 1024
    invariance: Annotated[
        float, Field(ge=0, description="weight of the invariance term (lambda)")
    ] = 25.0
    variance: Annotated[float, Field(ge=0, description="weight of the variance term (mu)")] = 25.0
    covariance: Annotated[float, Field(ge=0, description="weight of the covariance (nu)")] = 1.0


class VICReg(Objective):
    """VICReg: invariance, variance and covariance regularization of the embeddings.

    https://arxiv.org/abs/2105.04906, eq. 6. The invariance term is the mean squared distance of two
    views, the variance term keeps the standard deviation of each dimension above 1, and the
    covariance term decorrelates the dimensions. It needs neither negatives nor a teacher.
    """

    paper = "https://arxiv.org/abs/2105.04906"
    Config = VICRegConfig

    def __init__(self, encoder: Encoder, config: VICRegConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(
            encoder.num_features, config.hidden_dim, config.hidden_dim, config.out_dim
        )

    @classmethod
    def views(cls, config: VICRegConfig, size: int) -> tuple[View, ...]:
        """Two views with the default augmentations."""
        return two_views(size)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes eq. 6, with the variance halved as in the authors' code."""
        z = self.projector(self.encoder(torch.cat(batch.views)))
        z1, z2 = (all_gather(part) for part in z.chunk(2))
        inv = invariance(z1, z2)
        var = (variance(z1) + variance(z2)) / 2
        cov = covariance(z1) + covariance(z2)
        c = self.config
        loss = c.invariance * inv + c.variance * var + c.covariance * cov
        terms = {"invariance": inv, "variance": var, "covariance": cov}
        return Output(loss, {name: term.detach() for name, term in terms.items()})
