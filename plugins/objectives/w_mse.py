"""Invariance of whitened embeddings; whitening prevents collapse.

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
    """Whitens embeddings, section 3: W (v - mean), with W by Cholesky of the inverse covariance.

    Each dimension is first divided by its standard deviation, which does not change the result, so
    that the correlation R is shrunk, to (1 - shrinkage) R + shrinkage I. It is then positive
    definite in float32, also for fewer samples than dimensions and for constant dimensions.

    Args:
        v: (n, D) embeddings, n at least 2.
        shrinkage: Weight of the identity, in [0, 1]; 0 is the whitening of the paper.
        eps: Added to the variances.

    Returns:
        (n, D) with mean 0 and, without shrinkage, the identity as covariance.
    """
    v = (v - v.mean(dim=0)) * (v.var(dim=0) + eps).rsqrt()
    identity = torch.eye(v.shape[1], dtype=v.dtype, device=v.device)
    shrunk = (1 - shrinkage) * (v.T @ v) / (len(v) - 1) + shrinkage * identity
    factor = torch.linalg.cholesky_ex(
        shrunk
    ).L  # NaN is reported by the engine, which names the images
    white: Tensor = torch.linalg.solve_triangular(factor, v.T, upper=False).T
    return white


@full_precision
def normalized_mse(z1: Tensor, z2: Tensor) -> Tensor:
    """Computes the squared distance of normalized positives, 2 - 2 cos(z1, z2), section 3.

    Args:
        z1: (B, D) whitened embeddings of one view.
        z2: (B, D) whitened embeddings of another view of the same images.

    Returns:
        Scalar mean over rows, in [0, 4].
    """
    return (2 - 2 * cosine_similarity(z1, z2, dim=1)).mean()


class WMSEConfig(Config):
    """Defaults of section 4; with 32 dimensions a batch of 128 images has two sub-batches."""

    num_views: Annotated[
        int, Field(ge=2, description="number of views per image, 2 or 4 in the paper (d)")
    ] = 2
    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the projector")] = 1024
    out_dim: Annotated[int, Field(ge=1, description="dimension of the embeddings (D)")] = 32
    shrinkage: Annotated[
        float,
        Field(ge=0, le=1, description="shrinkage of the correlation matrix towards the identity"),
    ] = 1e-3


class WMSE(Objective):
    """W-MSE: mean squared error between whitened embeddings of the views of an image.

    https://arxiv.org/abs/2007.06346, section 3. Whitening keeps the embeddings from collapsing, so
    that no negatives, teacher, predictor or stop-gradient are needed. Batches should have at least
    2 D images over all processes; smaller ones are whitened as a whole and rely on the shrinkage.
    """

    paper = "https://arxiv.org/abs/2007.06346"
    Config = WMSEConfig

    def __init__(self, encoder: Encoder, config: WMSEConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden_dim, config.out_dim, bias=False)

    @classmethod
    def views(cls, config: WMSEConfig, size: int) -> tuple[View, ...]:
        """`num_views` views with the default augmentations."""
        return (View(size),) * config.num_views

    def whiten_slices(self, v: Tensor, order: Tensor) -> Tensor:
        """Whitens sub-batches separately, the batch slicing of section 3.1.

        Args:
            v: (B, out_dim) embeddings of one view.
            order: (B,) permutation of the images, the same for every view.

        Returns:
            (B, out_dim) whitened embeddings, in that order.
        """
        slices = order.tensor_split(max(1, len(order) // (2 * self.config.out_dim)))
        return torch.cat([whiten(v[rows], self.config.shrinkage) for rows in slices])

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the mean distance over all pairs of views of an image."""
        v = self.projector(self.encoder(torch.cat(batch.views)))
        parts = [all_gather(part) for part in v.chunk(len(batch.views))]
        order = rand_shared(len(parts[0]), like=v).argsort()
        white = [self.whiten_slices(part, order) for part in parts]
        losses = [normalized_mse(a, b) for a, b in combinations(white, 2)]
        return Output(torch.stack(losses).mean())
