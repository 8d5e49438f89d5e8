"""Predicts, from a partly hidden image, a moving teacher's features of the whole one.

data2vec: A General Framework for Self-supervised Learning in Speech, Vision and Language,
Baevski, Hsu, Xu, Babu, Gu, Auli, 2022. https://arxiv.org/abs/2202.03555
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, layer_norm, smooth_l1_loss

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import MaskPatch, cosine_momentum, ema_, frozen_copy, full_precision, upsample_mask


@full_precision
def latent_targets(maps: Tensor) -> Tensor:
    """Mean of K maps, each normalized per cell, section 3.3: (K, B, D, h, w) to (B, h w, D)."""
    cells = maps.flatten(3).transpose(2, 3)
    return layer_norm(cells, cells.shape[-1:]).mean(dim=0)


@full_precision
def latent_loss(predicted: Tensor, target: Tensor, share: Tensor, beta: float) -> Tensor:
    """Smooth L1 distance of hidden cells, eq. 2.

    Args:
        predicted: (B, N, D).
        target: (B, N, D).
        share: (B, N), how much of each cell is hidden, in [0, 1]; the paper's cells are hidden
            or not, those of a CNN in part, too.
        beta: Where the square gives way to the absolute value.

    Returns:
        Scalar mean over images of the weighted means over cells.
    """
    error = smooth_l1_loss(predicted, target, reduction="none", beta=beta).mean(dim=2)
    return ((error * share).sum(dim=1) / share.sum(dim=1)).mean()


class Data2VecConfig(Config):
    """Defaults of section 4.1 (vision); places as in SimMIM instead of BEiT's blocks."""

    ratio: Annotated[float, Field(gt=0, lt=1, description="share of the image hidden")] = 0.6
    places: Annotated[
        int, Field(ge=2, description="hidden or visible places along a side, about")
    ] = 7
    top: Annotated[int, Field(ge=1, description="K, last maps of one shape averaged")] = 6
    beta: Annotated[float, Field(gt=0, description="of eq. 2")] = 2.0
    momentum: Annotated[
        float,
        Field(ge=0, le=1, description="of the teacher at the start; paper, long runs: 0.9998"),
    ] = 0.99


class Data2Vec(Objective):
    """Latent targets for masked images, with any encoder that has maps."""

    paper = "https://arxiv.org/abs/2202.03555"
    Config = Data2VecConfig
    needs = frozenset({"pyramid"})

    def __init__(self, encoder: Encoder, config: Data2VecConfig) -> None:
        super().__init__(encoder, config)
        dim = encoder.pyramid_shapes(encoder.image_size)[-1][0]
        self.cover = MaskPatch.fitting(encoder, config.places)
        self.head = nn.Conv2d(dim, dim, 1)
        self.teacher = frozen_copy(encoder)

    @classmethod
    def views(cls, config: Data2VecConfig, size: int) -> tuple[View, ...]:
        """One crop, hardly altered."""
        return (View(size, policy="weak"),)

    @torch.no_grad()
    def target(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to the teacher's features (B, N, D): of its last maps of one shape."""
        maps = self.teacher.forward_pyramid(x)
        alike = [m for m in maps if m.shape == maps[-1].shape]
        return latent_targets(torch.stack(alike[-self.config.top :]))

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Distance to the teacher's features; their spread over images tells of collapse."""
        x = batch.views[0]
        mask = self.cover.draw(x, self.config.ratio)
        predicted = self.head(self.cover.forward_pyramid(self.encoder, x, mask)[-1])  # (B, D, h, w)
        target = self.target(x)
        hidden = upsample_mask(mask, (x.shape[2], x.shape[3])).to(x.dtype)
        share = adaptive_avg_pool2d(hidden, predicted.shape[2:]).flatten(1)
        cells = predicted.flatten(2).transpose(1, 2)
        loss = latent_loss(cells, target, share, self.config.beta)
        return Output(loss, {"target_std": target.flatten(0, 1).std(dim=0).mean()})

    def after_step(self, step: int, steps: int) -> None:
        """Moves the teacher, eq. 1."""
        ema_(self.teacher, self.encoder, cosine_momentum(step, steps, self.config.momentum))
