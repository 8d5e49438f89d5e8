"""Contrastive learning without the positive pair in the denominator, for small batches.

Decoupled Contrastive Learning,
Yeh, Hong, Hsu, Liu, Chen, LeCun, 2021. https://arxiv.org/abs/2110.06848
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import all_gather, full_precision, mlp, two_views


@full_precision
def dcl(z1: Tensor, z2: Tensor, temperature: float, sigma: float = 0.0) -> Tensor:
    """Computes the decoupled contrastive loss, eq. 6, or with `sigma` > 0 the weighted one, eq. 7.

    For each row: -w s(z, z+) / tau + log of the sum over all rows of other images of
    exp(s / tau), with w = 1, or w = 2 - exp(s(z, z+) / sigma) / mean of that over the batch.

    Args:
        z1: (B, D) projections of the first views.
        z2: (B, D) projections of the second views; row i shows the same image as row i of z1.
        temperature: Temperature of the softmax (tau).
        sigma: Temperature of the von Mises-Fisher weights; 0 for no weighting.

    Returns:
        Scalar mean over all 2B rows.
    """
    n = len(z1)
    z = normalize(torch.cat([z1, z2]), dim=1)  # (2B, D)
    similarity = z @ z.T
    same_image = torch.eye(n, dtype=torch.bool, device=z.device).repeat(2, 2)
    negatives = (similarity / temperature).masked_fill(same_image, -torch.inf).logsumexp(dim=1)
    positive = similarity[:n, n:].diagonal()  # (B,)
    weight = torch.ones_like(positive)
    if sigma > 0:
        weight = 2 - n * (positive / sigma).softmax(dim=0)
    return (negatives - (weight * positive).repeat(2) / temperature).mean()


class DCLConfig(Config):
    """Defaults of section 4.1 and table 3; the dimensions suit encoders of ResNet-18's size."""

    temperature: Annotated[float, Field(gt=0, description="softmax temperature tau (eq. 6)")] = 0.1
    sigma: Annotated[
        float,
        Field(ge=0, description="temperature of the weights of DCLW, 0 for plain DCL (sigma)"),
    ] = 0.0
    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the projector")] = 512
    out_dim: Annotated[int, Field(ge=1, description="dimension of the projections")] = 128


class DCL(Objective):
    """DCL: SimCLR with a loss that decouples the positive pair from the negatives.

    https://arxiv.org/abs/2110.06848, eq. 6. In SimCLR the gradient of easy positives vanishes when
    the batch is small; without the positive in the denominator it does not. With `sigma` > 0 the
    positives are weighted by their difficulty (DCLW, eq. 7).
    """

    paper = "https://arxiv.org/abs/2110.06848"
    Config = DCLConfig

    def __init__(self, encoder: Encoder, config: DCLConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden_dim, config.out_dim)

    @classmethod
    def views(cls, config: DCLConfig, size: int) -> tuple[View, ...]:
        """Two views with the default augmentations."""
        return two_views(size)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss over the images of all processes."""
        z = self.projector(self.encoder(torch.cat(batch.views)))
        z1, z2 = (all_gather(part) for part in z.chunk(2))
        return Output(dcl(z1, z2, self.config.temperature, self.config.sigma))
