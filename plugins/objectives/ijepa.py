"""Predicts a moving teacher's features of hidden blocks from the rest of the image.

Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture,
Assran, Duval, Misra, Bojanowski, Vincent, Rabbat, LeCun, Ballas, 2023.
https://arxiv.org/abs/2301.08243
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, cast

import torch
from pydantic import Field
from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn.functional import layer_norm, pad, smooth_l1_loss

from ... import Batch, Config, Encoder, Objective, Output, UsageError, View
from ...nn import all_gather, ema_, frozen_copy, full_precision, rand_per_sample, rand_shared

Ranges = tuple[tuple[float, float], tuple[float, float]]
# share of the grid, and height over width: appendix A.1
_TARGET: Ranges = (0.15, 0.2), (0.75, 1.5)
_CONTEXT: Ranges = (0.85, 1.0), (1.0, 1.0)


@full_precision
def prediction_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Smooth L1 distance to the layer-normalized target, as in the authors' code (paper: L2).

    Args:
        predicted: (n, M, D) predicted features of M places.
        target: (n, M, D) the teacher's.
    """
    return smooth_l1_loss(predicted, layer_norm(target, target.shape[-1:]))


def block_size(u: Tensor, ranges: Ranges, grid: tuple[int, int]) -> tuple[int, int]:
    """Height and width in cells of a block, from two uniform numbers."""
    share, ratio = (lo + float(v) * (hi - lo) for v, (lo, hi) in zip(u, ranges, strict=True))
    tall = min(max(1, round((share * grid[0] * grid[1] * ratio) ** 0.5)), grid[0])
    return tall, min(max(1, round(share * grid[0] * grid[1] / tall)), grid[1])


def place_blocks(u: Tensor, size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Puts blocks anywhere in the grid: (..., 2) uniform numbers to masks (..., h w)."""
    sides = []
    for i in range(2):
        first = (u[..., i, None] * (grid[i] - size[i] + 1)).floor()
        inside = torch.arange(grid[i], device=u.device) - first
        sides.append((inside >= 0) & (inside < size[i]))
    return (sides[0][..., :, None] & sides[1][..., None, :]).flatten(-2)


def context_without(block: Tensor, targets: Tensor) -> Tensor:
    """Takes the targets (B, T, N) out of the context blocks (B, N).

    Of an image where less than 1/20 of the cells, or none, would be left, later targets stay in.
    """
    left = block[:, None] & (targets.cumsum(dim=1) == 0)  # without the first, the first two, ...
    enough = (left.sum(dim=2) >= max(1, block.shape[1] // 20)).sum(dim=1)
    return left[torch.arange(len(left)), enough.clamp(min=1) - 1]


class IJEPAConfig(Config):
    """Defaults of section 4 and appendix A.1; predictor for encoders of ViT-Tiny's size."""

    blocks: Annotated[int, Field(ge=1, description="target blocks of an image")] = 4
    width: Annotated[int, Field(ge=32, multiple_of=32, description="of the predictor")] = 192
    depth: Annotated[int, Field(ge=1, description="blocks of the predictor")] = 3
    momentum: Annotated[float, Field(ge=0, le=1, description="at the start; paper: 0.996")] = 0.99


class IJEPA(Objective):
    """Features of blocks from features of their surroundings; no pixels, no negatives."""

    paper = "https://arxiv.org/abs/2301.08243"
    Config = IJEPAConfig
    needs = frozenset({"pyramid", "tokens"})
    defaults: ClassVar[Mapping[str, Any]] = {"optimizer": {"lr": 5e-4}}  # 2e-3 collapses

    def __init__(self, encoder: Encoder, config: IJEPAConfig) -> None:
        super().__init__(encoder, config)
        dim, *grid = encoder.pyramid_shapes(encoder.image_size)[-1]
        if min(grid) < 2:
            raise UsageError("I-JEPA needs two patches along a side. Give a larger --image-size.")
        self.grid = grid[0], grid[1]
        self.teacher = frozen_copy(encoder)
        width = config.width
        self.embed = nn.Linear(dim, width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        blocks = (Block(width, width // 32, qkv_bias=True) for _ in range(config.depth))
        self.predictor = nn.Sequential(*blocks, nn.LayerNorm(width), nn.Linear(width, dim))

    @classmethod
    def views(cls, config: IJEPAConfig, size: int) -> tuple[View, ...]:
        """One crop, hardly altered."""
        return (View(size, scale=(0.3, 1.0), policy="weak"),)

    def draw_blocks(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Draws numbers of the cells of contexts (B, M) and of targets (B, T, m)."""
        size = rand_shared(2, 2, like=x)
        where = rand_per_sample(len(x), self.config.blocks + 1, 2, like=x)
        targets = place_blocks(where[:, 1:], block_size(size[0], _TARGET, self.grid), self.grid)
        block = place_blocks(where[:, 0], block_size(size[1], _CONTEXT, self.grid), self.grid)
        context = context_without(block, targets)
        least = int(all_gather(context.sum(dim=1)).min())  # all images keep as many
        chance = rand_per_sample(*context.shape, like=x)
        keep = chance.masked_fill(~context, -1).topk(least).indices
        return keep, targets.nonzero()[:, 2].view(*targets.shape[:2], -1)

    def predict(self, x: Tensor, keep: Tensor, targets: Tensor) -> Tensor:
        """Predicts the features (B T, m, D) of target cells (B, T, m) from cells (B, M)."""
        places = build_sincos2d_pos_embed([*self.grid], self.config.width, device=x.device).to(x)
        where = pad(places[keep], (0, 0, self.encoder.num_prefix_tokens, 0))
        context = self.embed(self.encoder.forward_tokens(x, keep)) + where
        queries = self.mask_token + places[targets]  # (B, T, m, width)
        context = context[:, None].expand(-1, targets.shape[1], -1, -1)
        tokens = torch.cat([context, queries], dim=2).flatten(0, 1)
        return cast(Tensor, self.predictor(tokens)[:, context.shape[2] :])

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Distance of predicted to the teacher's features; their spread tells of collapse."""
        x = batch.views[0]
        keep, targets = self.draw_blocks(x)
        with torch.no_grad():
            seen = self.teacher.forward_tokens(x)[:, self.teacher.num_prefix_tokens :]  # (B, N, D)
        wanted = seen[torch.arange(len(x))[:, None, None], targets].flatten(0, 1)
        loss = prediction_loss(self.predict(x, keep, targets), wanted)
        return Output(loss, {"target_std": seen.flatten(0, 1).float().std(dim=0).mean()})

    def after_step(self, step: int, steps: int) -> None:
        """Moves the teacher; its momentum rises to 1 in a straight line, section 4."""
        momentum = self.config.momentum
        ema_(self.teacher, self.encoder, momentum + (1 - momentum) * step / steps)
