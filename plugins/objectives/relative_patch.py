"""Context prediction: where does one patch of an image lie relative to another?

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
from ...nn import accuracy, cut_tiles, full_precision, mlp, rand_per_sample, tile_size

_CENTER = 4


def drop_colors(x: Tensor, dropped: Tensor, kept: Tensor) -> Tensor:
    """Sets all channels but one of some patches to zero (color dropping, section 3.2).

    Chromatic aberration of lenses would reveal the position. The paper replaces the channels by
    noise of a hundredth of the kept channel's standard deviation.

    Args:
        x: (n, C, H, W) patches of mean zero.
        dropped: (n,) whether a patch loses its colors.
        kept: (n,) index of the channel that is kept.
    """
    channels = one_hot(kept, x.shape[1]).bool() | ~dropped[:, None]
    return x * channels[..., None, None]


def pairs(features: Tensor) -> Tensor:
    """Concatenates features (B, 9, D) of the center with each neighbor: (8 B, 2 D), by image."""
    neighbors = [n for n in range(9) if n != _CENTER]
    center = features[:, _CENTER, None].expand(-1, len(neighbors), -1)
    return torch.cat([center, features[:, neighbors]], dim=2).flatten(0, 1)


@full_precision
def relative_patch_loss(logits: Tensor) -> Tensor:
    """Computes the cross entropy over the eight relative positions.

    Args:
        logits: (8 B, 8), with rows in the order of `pairs`.
    """
    return cross_entropy(logits, _positions(logits))


def _positions(logits: Tensor) -> Tensor:
    return torch.arange(8, device=logits.device).repeat(len(logits) // 8)


class RelativePatchConfig(Config):
    """Defaults of section 3.1; the head's dimension suits encoders of ResNet-18's size."""

    gap: Annotated[
        float, Field(ge=0, description="gap between patches, as a share of a patch's side")
    ] = 0.5
    jitter: Annotated[
        float, Field(ge=0, le=0.5, description="largest shift of a patch, as a share of the gap")
    ] = 7 / 48
    color_drop: Annotated[
        float, Field(ge=0, le=1, description="share of patches with one channel only, paper: 1")
    ] = 0.5
    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the head")] = 512


class RelativePatch(Objective):
    """Context prediction: a head recognizes which of eight neighbors of the center a patch is.

    https://arxiv.org/abs/1505.05192, section 3. Against trivial solutions patches have a gap and
    random shifts, are normalized separately, and lose their colors at random. All eight pairs come
    from nine encoded patches. The paper's down- and upsampling of some patches is omitted.
    """

    paper = "https://arxiv.org/abs/1505.05192"
    Config = RelativePatchConfig

    def __init__(self, encoder: Encoder, config: RelativePatchConfig) -> None:
        super().__init__(encoder, config)
        self.tile = tile_size(encoder.image_size)
        self.head = mlp(2 * encoder.num_features, config.hidden_dim, 8)

    @classmethod
    def views(cls, config: RelativePatchConfig, size: int) -> tuple[View, ...]:
        """One upright view of 3 x 3 cells, each of a patch and its gap."""
        cell = round(tile_size(size) * (1 + config.gap))
        return (View(3 * cell, scale=(0.5, 1.0), policy="upright"),)

    def patches(self, x: Tensor) -> Tensor:
        """Cuts images (B, C, S, S) into shifted, normalized patches (9 B, C, tile, tile)."""
        drawn = rand_per_sample(len(x), 9, 4, like=x)
        offset = 0.5 + self.config.jitter * (2 * drawn[..., :2] - 1)
        dropped, kept = drawn[..., 2:].flatten(0, 1).unbind(dim=1)
        patches = instance_norm(cut_tiles(x, self.tile, offset))
        return drop_colors(patches, dropped < self.config.color_drop, (kept * x.shape[1]).long())

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss of all eight neighbors of each image's center."""
        features = self.encoder(self.patches(batch.views[0])).unflatten(0, (-1, 9))
        logits = self.head(pairs(features))
        metrics = {"position_accuracy": accuracy(logits, _positions(logits))}
        return Output(relative_patch_loss(logits), metrics)
