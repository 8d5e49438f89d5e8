"""VICReg of whole images and of local features that match by position or by similarity.

VICRegL: Self-Supervised Learning of Local Visual Features,
Bardes, Ponce, LeCun, 2022. https://arxiv.org/abs/2210.01571
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ... import Batch, Encoder, Objective, Output, View
from ...nn import all_gather, distances, full_precision, mlp, nearest_pairs, position_centers
from .vicreg import VICRegConfig, covariance, invariance, variance


@full_precision
def criterion(x: Tensor, y: Tensor) -> Tensor:
    """Computes the terms of VICReg between matched vectors (l in eq. 1).

    As in the authors' code, variance and covariance are means over both sides.

    Args:
        x: (B, n, D), n vectors of each image; statistics are over B for each of them.
        y: (B, n, D), the vectors matched with x.

    Returns:
        (3,) invariance, variance and covariance, each as a mean over n.
    """
    var = (variance(x.flatten(1)) + variance(y.flatten(1))) / 2
    cov = torch.stack([covariance(z) for z in (*x.unbind(1), *y.unbind(1))]).mean()
    return torch.stack([invariance(x, y), var, cov])


class VICRegLConfig(VICRegConfig):
    """Defaults of the paper's ResNet-50; the global expander is narrower, for short training."""

    local_dim: Annotated[
        int, Field(ge=2, description="dimension of the layers of the local expander")
    ] = 512
    alpha: Annotated[
        float, Field(ge=0, le=1, description="weight of the global loss (alpha in eq. 4)")
    ] = 0.75
    kept: Annotated[
        float, Field(gt=0, le=1, description="share of the positions that are matched (gamma)")
    ] = 20 / 49


class VICRegL(Objective):
    """VICRegL: VICReg between images and between matched positions of their feature maps.

    https://arxiv.org/abs/2210.01571, eq. 1 to 4. Positions of two views are matched where they are
    nearest in the image, and where their embeddings are nearest; the nearest pairs are kept (20 of
    49 positions in the paper). It does not suit paired images, whose positions do not correspond.
    """

    paper = "https://arxiv.org/abs/2210.01571"
    Config = VICRegLConfig
    needs = frozenset({"pyramid"})

    def __init__(self, encoder: Encoder, config: VICRegLConfig) -> None:
        super().__init__(encoder, config)
        width, local = encoder.pyramid_shapes(encoder.image_size)[-1][0], config.local_dim
        hidden = config.hidden_dim
        self.projector = mlp(encoder.num_features, hidden, hidden, config.out_dim)
        self.local_projector = mlp(width, local, local, local)

    @classmethod
    def views(cls, config: VICRegLConfig, size: int) -> tuple[View, ...]:
        """Two views with the default augmentations and known positions in the image."""
        return (View(size, locate=True),) * 2

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes eq. 4; as in the authors' code it averages directions and sums matchings."""
        pooled, pyramid = self.encoder.forward_features(torch.cat(batch.views))
        z1, z2 = (all_gather(z)[:, None] for z in self.projector(pooled).chunk(2))
        local = pyramid[-1].flatten(2).mT  # (2B, h w, D)
        m1, m2 = self.local_projector(local.flatten(0, 1)).view(2, len(batch), local.shape[1], -1)
        whole, local = criterion(z1, z2), self.local_terms(m1, m2, batch, pyramid[-1])
        c = self.config
        weights = whole.new_tensor([c.invariance, c.variance, c.covariance])
        loss = (weights * (c.alpha * whole + (1 - c.alpha) * local)).sum()
        names = ("invariance", "variance", "covariance")
        metrics = dict(zip(names, whole.detach(), strict=True))
        metrics |= {f"local_{n}": v for n, v in zip(names, local.detach(), strict=True)}
        return Output(loss, metrics)

    def local_terms(self, m1: Tensor, m2: Tensor, batch: Batch, level: Tensor) -> Tensor:
        """Computes the terms (3,) of the local losses L_s and L_d, eq. 2 and 3.

        Args:
            m1: (B, h w, D) local embeddings of the first views.
            m2: (B, h w, D) local embeddings of the second views.
            batch: The batch, whose frames give the positions.
            level: (2 B, D', h, w) feature map that was embedded.
        """
        h, w = level.shape[2:]
        height, width = batch.views[0].shape[2:]
        p1, p2 = (position_centers(frame, (h, w), (height, width)) for frame in batch.frames)
        kept = max(1, round(self.config.kept * h * w))
        terms = []
        for d in (distances(p1, p2), distances(m1, m2)):
            for pair in (nearest_pairs(m1, m2, d, kept), nearest_pairs(m2, m1, d.mT, kept)):
                terms.append(criterion(*map(all_gather, pair)))
        return torch.stack(terms).sum(dim=0) / 2
