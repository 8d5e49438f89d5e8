"""Alignment of two views of an image, and uniformity of images on the unit sphere.

Understanding Contrastive Representation Learning through Alignment and Uniformity on the
Hypersphere, Wang, Isola, 2020. https://arxiv.org/abs/2005.10242
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from ssl_kit import Batch, Config, Encoder, Objective, Output, View
from ssl_kit.nn import all_gather, full_precision, mlp, two_views


@full_precision
def alignment(z1: Tensor, z2: Tensor) -> Tensor:
    """Computes the mean squared distance of two views of an image, section 4.1 with alpha = 2.

    Args:
        z1: (B, D) normalized projections of the first views.
        z2: (B, D) normalized projections of the second views of the same images.

    Returns:
        Scalar in [0, 4].
    """
    return (z1 - z2).square().sum(dim=1).mean()


@full_precision
def uniformity(z: Tensor, t: float) -> Tensor:
    """Computes the logarithm of the mean Gaussian potential of pairs of images, section 4.1.

    Args:
        z: (B, D) normalized projections of one view of each image.
        t: Inverse width of the potential.

    Returns:
        Scalar in [-4 t, 0]; 0 if all projections are equal.
    """
    return torch.pdist(z).square().mul(-t).exp().mean().log()


class ExampleNameConfig(Config):
    """Defaults of the authors; the dimensions suit encoders of ResNet-18's size."""

    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the projector")] = 512
    out_dim: Annotated[int, Field(ge=2, description="dimension of the projections")] = 128
    weight: Annotated[float, Field(ge=0, description="weight of the uniformity (lambda)")] = 1.0
    t: Annotated[float, Field(gt=0, description="inverse width of the potential (t)")] = 2.0


class ExampleName(Objective):
    """Alignment and uniformity: both properties of contrastive features are optimized directly.

    https://arxiv.org/abs/2005.10242, section 4.1: the loss is alignment + lambda * uniformity.
    """

    paper = "https://arxiv.org/abs/2005.10242"
    Config = ExampleNameConfig

    def __init__(self, encoder: Encoder, config: ExampleNameConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden_dim, config.out_dim)

    @classmethod
    def views(cls, config: ExampleNameConfig, size: int) -> tuple[View, ...]:
        """Two views with the default augmentations, which the domain defines."""
        return two_views(size)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes both terms over the images of all processes."""
        z = normalize(self.projector(self.encoder(torch.cat(batch.views))), dim=1)
        z1, z2 = (all_gather(part) for part in z.chunk(2))
        aligned = alignment(z1, z2)
        uniform = (uniformity(z1, self.config.t) + uniformity(z2, self.config.t)) / 2
        metrics = {"alignment": aligned.detach(), "uniformity": uniform.detach()}
        return Output(aligned + self.config.weight * uniform, metrics)
