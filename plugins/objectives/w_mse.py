"""Makes views of an image agree after whitening, which keeps images from falling together.

Whitening for Self-Supervised Representation Learning,
Ermolov, Siarohin, Sangineto, Sebe, 2020. https://arxiv.org/abs/2007.06346
"""

from __future__ import annotations

from itertools import combinations
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import all_gather, full_precision, mlp, rand_shared


@full_precision
def whiten(v: Tensor, shrinkage: float, eps: float = 1e-5) -> Tensor:
    """Whitening of section 3: W (v - mean) with W^T W the inverse covariance, W by Cholesky.

    The scale of each dimension is divided out first, which by Cholesky changes nothing; so it is
    the *correlation* R that is shrunk, to (1 - shrinkage) R + shrinkage I. That is positive
    definite, also in float32, for fewer rows than dimensions and for constant dimensions.

    Args:
        v: (n, D) embeddings, n at least 2.
        shrinkage: In [0, 1]; 0 is the paper's whitening.
        eps: Added to the variances.

    Returns:
        (n, D) with mean 0 and, but for the shrinkage, the identity as covariance.
    """
    v = (v - v.mean(dim=0)) * (v.var(dim=0) + eps).rsqrt()
    identity = torch.eye(v.shape[1], dtype=v.dtype, device=v.device)
    shrunk = (1 - shrinkage) * (v.T @ v) / (len(v) - 1) + shrinkage * identity
    factor = torch.linalg.cholesky_ex(shrunk).L  # raises nothing on NaN: the engine names the keys
    white: Tensor = torch.linalg.solve_triangular(factor, v.T, upper=False).T
    return white


@full_precision
def normalized_mse(z1: Tensor, z2: Tensor) -> Tensor:
    """Distance of positives of section 3: squared, of unit vectors, 2 - 2 cos(z1, z2).

    Args:
        z1: (B, D) whitened embeddings of one view.
        z2: (B, D) whitened embeddings of another; row i shows the same image as row i of z1.

    Returns:
        Scalar mean over rows, in [0, 4].
    """
    return (2 - 2 * cosine_similarity(z1, z2, dim=1)).mean()


class WMSEConfig(Config):
    """Defaults of section 4; fewer dimensions, as a batch of 128 then has two sub-batches."""

    positives: Annotated[int, Field(ge=2, description="d, views of each image; 2 or 4")] = 2
    hidden: Annotated[int, Field(ge=1, description="width inside the projector")] = 1024
    out: Annotated[int, Field(ge=1, description="D; sub-batches have at least 2 D images")] = 32
    shrinkage: Annotated[
        float, Field(ge=0, le=1, description="of correlations to none, before whitening")
    ] = 1e-3


class WMSE(Objective):
    """Whitening MSE: no negatives, teacher, predictor or stopped gradient.

    Batches should have at least 2 D images over all processes. Smaller ones are whitened as a
    whole and rely on the shrinkage, since the correlations of few images cannot be told.
    """

    paper = "https://arxiv.org/abs/2007.06346"
    Config = WMSEConfig

    def __init__(self, encoder: Encoder, config: WMSEConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden, config.out, bias=False)

    @classmethod
    def views(cls, config: WMSEConfig, size: int) -> tuple[View, ...]:
        """All views of the same kind."""
        return (View(size),) * config.positives

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out), not whitened."""
        embeddings: Tensor = self.projector(features)
        return embeddings

    def whiten_slices(self, v: Tensor, order: Tensor) -> Tensor:
        """Whitens sub-batches apart: batch slicing of section 3.1.

        Args:
            v: (B, out) embeddings of one view.
            order: (B,) permutation of the images, the same for every view.

        Returns:
            (B, out), in that order.
        """
        slices = order.tensor_split(max(1, len(order) // (2 * self.config.out)))
        return torch.cat([whiten(v[rows], self.config.shrinkage) for rows in slices])

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Mean distance over all pairs of an image's views."""
        v = self.project(self.encoder(torch.cat(batch.views)))
        parts = [all_gather(part) for part in v.chunk(len(batch.views))]
        order = rand_shared(len(parts[0]), like=v).argsort()
        white = [self.whiten_slices(part, order) for part in parts]
        return Output(torch.stack([normalized_mse(a, b) for a, b in combinations(white, 2)]).mean())
