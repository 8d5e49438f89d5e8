"""Contrastive learning of two views of an image against all other images of the batch.

A Simple Framework for Contrastive Learning of Visual Representations,
Chen, Kornblith, Norouzi, Hinton, 2020. https://arxiv.org/abs/2002.05709
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import all_gather, full_precision, mlp, two_views


@full_precision
def nt_xent(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """Computes the normalized temperature-scaled cross entropy (NT-Xent), eq. 1.

    Args:
        z1: (B, D) projections of the first views.
        z2: (B, D) projections of the second views; row i shows the same image as row i of z1.
        temperature: Temperature of the softmax (tau).

    Returns:
        Scalar mean over all 2B rows.
    """
    z = normalize(torch.cat([z1, z2]), dim=1)  # (2B, D)
    similarity = z @ z.T / temperature
    similarity = similarity.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -1e9)
    positives = torch.arange(len(z), device=z.device).roll(len(z1))
    return cross_entropy(similarity, positives)


class SimCLRConfig(Config):
    """Options of SimCLR; the dimensions suit encoders of the size of ResNet-18.

    The paper finds a temperature of 0.1 best on ImageNet (table 5) and takes 0.5 for CIFAR-10
    (appendix B.9); 0.2 lies between and was the best of the three on small scene sets.
    """

    temperature: Annotated[float, Field(gt=0, description="softmax temperature tau (eq. 1)")] = 0.2
    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the projector")] = 512
    out_dim: Annotated[int, Field(ge=1, description="dimension of the projections")] = 128


class SimCLR(Objective):
    """SimCLR: two views of an image are positives, all other images of the batch are negatives.

    https://arxiv.org/abs/2002.05709, eq. 1. Projections of all views are compared by cosine
    similarity, and the NT-Xent loss classifies which of them is the other view of the same image.
    """

    paper = "https://arxiv.org/abs/2002.05709"
    Config = SimCLRConfig

    def __init__(self, encoder: Encoder, config: SimCLRConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden_dim, config.out_dim)

    @classmethod
    def views(cls, config: SimCLRConfig, size: int) -> tuple[View, ...]:
        """Two views with the default augmentations."""
        return two_views(size)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the NT-Xent loss over the images of all processes."""
        z = self.projector(self.encoder(torch.cat(batch.views)))
        z1, z2 = (all_gather(part) for part in z.chunk(2))
        return Output(nt_xent(z1, z2, self.config.temperature))
