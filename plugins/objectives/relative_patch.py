"""Tells where one patch of an image lies as seen from another.

Unsupervised Visual Representation Learning by Context Prediction,
Doersch, Gupta, Efros, 2015. https://arxiv.org/abs/1505.05192
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, instance_norm, one_hot

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import full_precision, mlp, rand_per_sample
from .jigsaw import cut_tiles, tile_size

_CENTER = 4


def drop_colors(x: Tensor, dropped: Tensor, kept: Tensor) -> Tensor:
    """Blanks all channels but one of some patches: the color fringes of a lens tell its place.

    The paper leaves noise of a hundredth of the kept channel's deviation; here it is nothing.

    Args:
        x: (n, C, H, W), of mean zero.
        dropped: (n,), whether a patch loses its colors.
        kept: (n,), number of the channel that stays.
    """
    stays = one_hot(kept, x.shape[1]).bool() | ~dropped[:, None]
    return x * stays[..., None, None]


def pairs(features: Tensor) -> Tensor:
    """Joins the center of each grid (B, 9, D) with each neighbor: (8B, 2D), image by image."""
    others = [n for n in range(9) if n != _CENTER]
    center = features[:, _CENTER, None].expand(-1, len(others), -1)
    return torch.cat([center, features[:, others]], dim=2).flatten(0, 1)


@full_precision
def relative_patch_loss(logits: Tensor) -> Tensor:
    """Cross entropy over the eight places.

    Args:
        logits: (8B, 8); rows as `pairs` puts them.
    """
    return cross_entropy(logits, _places(logits))


def _places(logits: Tensor) -> Tensor:
    return torch.arange(8, device=logits.device).repeat(len(logits) // 8)


class RelativePatchConfig(Config):
    """Defaults of section 3.1; the head's width suits encoders of ResNet-18's size."""

    gap: Annotated[float, Field(ge=0, description="between patches, as a share of a patch")] = 0.5
    jitter: Annotated[
        float, Field(ge=0, le=0.5, description="largest shift of a patch, as a share of the gap")
    ] = 7 / 48
    drop: Annotated[
        float, Field(ge=0, le=1, description="share of patches that lose their colors; paper: 1")
    ] = 0.5
    hidden: Annotated[int, Field(ge=1, description="width inside the head")] = 512


class RelativePatch(Objective):
    """Relative position of patches, with the guards against seeing it without understanding.

    All eight pairs of a center and a neighbor come from nine encoded patches. A gap and a jitter
    keep edges from being continued, each patch is normalized by itself, and colors are dropped.
    The paper's blurring of some patches by sampling down and up is left out.
    """

    paper = "https://arxiv.org/abs/1505.05192"
    Config = RelativePatchConfig

    def __init__(self, encoder: Encoder, config: RelativePatchConfig) -> None:
        super().__init__(encoder, config)
        self.tile = tile_size(encoder.image_size)
        self.head = mlp(2 * encoder.num_features, config.hidden, 8)

    @classmethod
    def views(cls, config: RelativePatchConfig, size: int) -> tuple[View, ...]:
        """One view of 3x3 cells of a patch and its gap."""
        cell = round(tile_size(size) * (1 + config.gap))
        return (View(3 * cell, scale=(0.5, 1.0), policy="upright"),)

    def patches(self, x: Tensor) -> Tensor:
        """Cuts images (B, C, S, S) into guarded patches (9B, C, tile, tile)."""
        drawn = rand_per_sample(len(x), 9, 4, like=x)
        place = 0.5 + self.config.jitter * (2 * drawn[..., :2] - 1)
        dropped, kept = drawn[..., 2:].flatten(0, 1).unbind(dim=1)
        patches = instance_norm(cut_tiles(x, self.tile, place))
        return drop_colors(patches, dropped < self.config.drop, (kept * x.shape[1]).long())

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Asks for the place of all eight neighbors of each image's center."""
        features = self.encoder(self.patches(batch.views[0])).unflatten(0, (-1, 9))
        logits = self.head(pairs(features))
        accuracy = (logits.argmax(dim=1) == _places(logits)).float().mean()
        return Output(relative_patch_loss(logits), {"place_accuracy": accuracy.detach()})
