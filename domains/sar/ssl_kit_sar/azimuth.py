"""Azimuth regression: pose of a target, or the rotation that was applied to its chip.

Unsupervised Representation Learning by Predicting Image Rotations,
Gidaris, Singh, Komodakis, 2018. https://arxiv.org/abs/1803.07728
Here the angle is continuous, and it is the azimuth where the header of a chip contains it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cosine_similarity, grid_sample

from ssl_kit import Batch, Config, Encoder, Objective, Output, View
from ssl_kit.nn import full_precision, rand_per_sample

_TOLERANCE = 1e-3  # deviation of a direction's length from 1


@full_precision
def direction_loss(predicted: Tensor, direction: Tensor) -> Tensor:
    """Computes the mean of 1 - cos of the angle between two directions, in [0, 2].

    Args:
        predicted: (B, 2) predicted directions of any length.
        direction: (B, 2) true directions.
    """
    return (1 - cosine_similarity(predicted, direction, dim=1)).mean()


@torch.no_grad()
def degrees_apart(predicted: Tensor, direction: Tensor) -> Tensor:
    """Computes the mean angle between two directions (B, 2) in degrees; 90 is chance."""
    cos = cosine_similarity(predicted.float(), direction.float(), dim=1).clamp(-1, 1)
    return cos.arccos().rad2deg().mean()


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """Rotates images counter-clockwise about their center and masks everything outside a circle.

    Masked pixels are 0, the mean of standardized images; otherwise the corners would reveal the
    angle.

    Args:
        x: (B, C, H, W) images.
        angles: (B,) angles in radians.
    """
    cos, sin, none = angles.cos(), angles.sin(), torch.zeros_like(angles)
    maps = torch.stack([cos, -sin, none, sin, cos, none], dim=1).view(-1, 2, 3).to(x.dtype)
    grid = affine_grid(maps, list(x.shape), align_corners=False)
    inside = (grid.square().sum(dim=-1) <= 1)[:, None]
    return grid_sample(x, grid, align_corners=False) * inside


class Azimuth(Objective):
    """Azimuth regression: a linear layer predicts (cos, sin) of the azimuth of a target.

    After https://arxiv.org/abs/1803.07728. Azimuths are positions that are directions (cos, sin) or
    (0, 0) if unknown, as the reader of MSTAR chips provides them. Any other image is rotated in its
    plane by a random angle, which is predicted instead; this teaches less, because the direction of
    the radar shadow reveals the rotation.
    """

    paper = "https://arxiv.org/abs/1803.07728"

    def __init__(self, encoder: Encoder, config: Config) -> None:
        super().__init__(encoder, config)
        self.head = nn.Linear(encoder.num_features, 2)

    @classmethod
    def views(cls, config: Config, size: int) -> tuple[View, ...]:
        """One view without rotation or flip."""
        return (View(size, policy="upright"),)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss of the azimuth, or of the rotation where the azimuth is unknown."""
        x = batch.views[0]
        angles = 2 * math.pi * rand_per_sample(len(x), like=x)
        direction = torch.stack([angles.cos(), angles.sin()], dim=1)
        if batch.positions.shape[1] == 2:
            length = batch.positions.norm(dim=1)
            known = (length - 1).abs() < _TOLERANCE
            known &= (known | (length == 0)).all()  # the tile (0, 1) of an image is no direction
            direction = torch.where(known[:, None], batch.positions.to(direction), direction)
            x = torch.where(known[:, None, None, None], x, turned(x, angles))
        else:
            x = turned(x, angles)
        predicted = self.head(self.encoder(x))
        error = degrees_apart(predicted, direction)
        return Output(direction_loss(predicted, direction), {"degrees": error})
