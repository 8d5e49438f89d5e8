"""Two views of an image agree, and images spread evenly over the unit sphere.

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
from ssl_kit.nn import all_gather, full_precision, mlp


@full_precision
def alignment(z1: Tensor, z2: Tensor) -> Tensor:
    """Mean squared distance between the two views of an image, section 4.1 with alpha = 2.

    Args:
        z1: (B, D) first views, of unit length.
        z2: (B, D) second views; row i shows the same image as row i of z1.

    Returns:
        Scalar in [0, 4].
    """
    return (z1 - z2).square().sum(dim=1).mean()


@full_precision
def uniformity(z: Tensor, t: float) -> Tensor:
    """Logarithm of the mean Gaussian potential between pairs of images, section 4.1.

    Args:
        z: (B, D) one view of each image, of unit length.
        t: Inverse width of the potential.

    Returns:
        Scalar in [-4 t, 0]; 0 if all images are in one place.
    """
    return torch.pdist(z).square().mul(-t).exp().mean().log()


class ExampleNameConfig(Config):
    """The authors' defaults; widths for encoders of ResNet-18's size."""

    hidden: Annotated[int, Field(ge=1, description="width inside the projector")] = 512
    out: Annotated[int, Field(ge=2, description="width of the projections")] = 128
    weight: Annotated[float, Field(ge=0, description="lambda, weight of uniformity")] = 1.0
    t: Annotated[float, Field(gt=0, description="inverse width of the potential")] = 2.0


class ExampleName(Objective):
    """Alignment and uniformity, minimized directly."""

    paper = "https://arxiv.org/abs/2005.10242"
    Config = ExampleNameConfig

    def __init__(self, encoder: Encoder, config: ExampleNameConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden, config.out)

    @classmethod
    def views(cls, config: ExampleNameConfig, size: int) -> tuple[View, ...]:
        """Two views of the same kind; the domain decides what that means for its images."""
        return (View(size), View(size))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out), for the collapse watch as well."""
        projections: Tensor = self.projector(features)
        return projections

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Both terms over the images of all processes."""
        z = normalize(self.project(self.encoder(torch.cat(batch.views))), dim=1)
        z1, z2 = (all_gather(part) for part in z.chunk(2))
        close = alignment(z1, z2)
        even = (uniformity(z1, self.config.t) + uniformity(z2, self.config.t)) / 2
        metrics = {"alignment": close.detach(), "uniformity": even.detach()}
        return Output(close + self.config.weight * even, metrics)
