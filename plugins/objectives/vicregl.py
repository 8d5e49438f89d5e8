"""VICReg on whole images and on their places: those that lie or look nearest in two views agree.

VICRegL: Self-Supervised Learning of Local Visual Features,
Bardes, Ponce, LeCun, 2022. https://arxiv.org/abs/2210.01571
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import all_gather, full_precision, mlp
from .vicreg import covariance, invariance, variance


@full_precision
def criterion(x: Tensor, y: Tensor) -> Tensor:
    """The terms of VICReg between matched vectors, l of eq. 1; statistics are over the batch.

    As in the authors' code, both variance and covariance are the mean of the two sides.

    Args:
        x: (B, n, D): n vectors of each image; the n-th of all images make one sample.
        y: (B, n, D), the vectors matched with them.

    Returns:
        (3,): invariance, variance, covariance, each a mean over n.
    """
    var = (variance(x.flatten(1)) + variance(y.flatten(1))) / 2
    cov = torch.stack([covariance(z) for z in (*x.unbind(1), *y.unbind(1))]).mean()
    return torch.stack([invariance(x, y), var, cov])


@full_precision
def centers(frame: Tensor, cells: tuple[int, int], pixels: tuple[int, int]) -> Tensor:
    """Places the cells of a feature map in the image.

    Args:
        frame: (B, 2, 3) of the view, see `Batch.frames`.
        cells: h, w of the map.
        pixels: H, W of the view.

    Returns:
        (B, h w, 2) centers x, y, in shares of the image's width and height, row by row.
    """
    (h, w), (height, width) = cells, pixels
    y = (torch.arange(h, device=frame.device, dtype=frame.dtype) + 0.5) * (height / h)
    x = (torch.arange(w, device=frame.device, dtype=frame.dtype) + 0.5) * (width / w)
    points = torch.cartesian_prod(y, x).flip(1)  # (h w, 2)
    return points @ frame[:, :, :2].mT + frame[:, None, :, 2]


@torch.no_grad()
@full_precision
def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances (B, N, M) of points (B, N, D) and (B, M, D)."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def match(x: Tensor, y: Tensor, distance: Tensor, kept: int) -> tuple[Tensor, Tensor]:
    """Matches each vector with its nearest and keeps the nearest pairs of each image, eq. 2, 3.

    Args:
        x: (B, N, D).
        y: (B, M, D).
        distance: (B, N, M).
        kept: gamma, number of pairs.

    Returns:
        (B, gamma, D) of x, in the order of x, and (B, gamma, D) of y.
    """
    nearest, number = distance.min(dim=2)
    chosen = nearest.argsort(dim=1, stable=True)[:, :kept].sort(dim=1).values
    other = number.gather(1, chosen)
    wide = (-1, -1, x.shape[2])
    return x.gather(1, chosen[..., None].expand(wide)), y.gather(1, other[..., None].expand(wide))


class VICRegLConfig(Config):
    """Defaults of the paper's ResNet-50; the global expander is narrower, as suits short runs."""

    hidden: Annotated[int, Field(ge=1, description="width of the expander's layers")] = 1024
    out: Annotated[int, Field(ge=2, description="width of the embeddings")] = 1024
    local: Annotated[int, Field(ge=2, description="widths of the expander of cells")] = 512
    alpha: Annotated[float, Field(ge=0, le=1, description="share of the global loss, eq. 4")] = 0.75
    kept: Annotated[
        float, Field(gt=0, le=1, description="gamma per cell; paper: 20 of 49 pairs, 4 of 9")
    ] = 20 / 49
    invariance: Annotated[float, Field(ge=0, description="lambda of eq. 1")] = 25.0
    variance: Annotated[float, Field(ge=0, description="mu of eq. 1")] = 25.0
    covariance: Annotated[float, Field(ge=0, description="nu of eq. 1")] = 1.0


class VICRegL(Objective):
    """VICReg of images and of cells; not for paired images, which share no places."""

    paper = "https://arxiv.org/abs/2210.01571"
    Config = VICRegLConfig
    needs = frozenset({"pyramid"})

    def __init__(self, encoder: Encoder, config: VICRegLConfig) -> None:
        super().__init__(encoder, config)
        width, local = encoder.pyramid_shapes(encoder.image_size)[-1][0], config.local
        self.expander = mlp(encoder.num_features, config.hidden, config.hidden, config.out)
        self.local_expander = mlp(width, local, local, local)

    @classmethod
    def views(cls, config: VICRegLConfig, size: int) -> tuple[View, ...]:
        """Two views of the same kind, whose places are known."""
        return (View(size, locate=True), View(size, locate=True))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        embeddings: Tensor = self.expander(features)
        return embeddings

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Eq. 4; as in the authors' code the two directions are averaged, the matchings summed."""
        pooled, levels = self.encoder.forward_features(torch.cat(batch.views))
        z1, z2 = (all_gather(z)[:, None] for z in self.project(pooled).chunk(2))
        cells = levels[-1].flatten(2).mT  # (2B, h w, D)
        m1, m2 = self.local_expander(cells.flatten(0, 1)).view(2, len(batch), cells.shape[1], -1)
        whole, local = criterion(z1, z2), self._local(m1, m2, batch, levels[-1])
        c = self.config
        weights = whole.new_tensor([c.invariance, c.variance, c.covariance])
        loss = (weights * (c.alpha * whole + (1 - c.alpha) * local)).sum()
        names = ("invariance", "variance", "covariance")
        metrics = dict(zip(names, whole.detach(), strict=True))
        metrics |= {f"local_{n}": v for n, v in zip(names, local.detach(), strict=True)}
        return Output(loss, metrics)

    def _local(self, m1: Tensor, m2: Tensor, batch: Batch, level: Tensor) -> Tensor:
        """L_s and L_d of eq. 2 and 3, (3,)."""
        h, w = level.shape[2:]
        height, width = batch.views[0].shape[2:]
        p1, p2 = (centers(frame, (h, w), (height, width)) for frame in batch.frames)
        kept = max(1, round(self.config.kept * h * w))
        terms = []
        for distance in (distances(p1, p2), distances(m1, m2)):
            for pair in (match(m1, m2, distance, kept), match(m2, m1, distance.mT, kept)):
                terms.append(criterion(*map(all_gather, pair)))
        return torch.stack(terms).sum(dim=0) / 2
