"""Classification of synthetic defects: which kind of patch was pasted into an image?

CutPaste: Self-Supervised Learning for Anomaly Detection and Localization,
Li, Sohn, Yoon, Pfister, 2021. https://arxiv.org/abs/2104.04015
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, grid_sample

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import accuracy, all_gather, full_precision, mlp, rand_per_sample

Kind = Literal["none", "rectangle", "scar", "ellipse", "several", "other"]


@torch.no_grad()
def paste(
    x: Tensor, source: Tensor, size: Tensor, jitter: float, turn: bool = False, oval: bool = False
) -> Tensor:
    """Cuts a patch out of `source` and pastes it, with color jitter, at a random position into x.

    Args:
        x: (B, C, H, W) standardized images.
        source: (B, C, H, W) images that the patches are cut from.
        size: (B, 2) height and width of the patches in pixels.
        jitter: Largest change of contrast and brightness of the patches, in standard deviations.
        turn: Whether patches are rotated by up to 45 degrees in either direction.
        oval: Whether patches are ellipses instead of rectangles.
    """
    b, channels, *shape = x.shape
    drawn = rand_per_sample(b, 5 + 2 * channels, like=x)
    extent = size.new_tensor(shape)
    half = torch.minimum(size.clamp(min=1), extent) / 2
    cut, to = (half + part * (extent - 2 * half) for part in drawn[:, :4].chunk(2, dim=1))
    shift = (cut - to).round()  # whole pixels, because interpolation blurs
    axes = [torch.arange(n, device=x.device, dtype=size.dtype) + 0.5 for n in shape]
    away = torch.cartesian_prod(*axes).view(*shape, 2) - to[:, None, None]  # (B, H, W, 2)
    angle = turn * (2 * drawn[:, 4:5] - 1) * pi / 4
    rotation = torch.cat([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1)
    local = away @ rotation.view(-1, 1, 2, 2)
    relative = local / half[:, None, None]
    inside = relative.square().sum(dim=3) <= 1 if oval else relative.abs().amax(dim=3) <= 1
    grid = 2 * ((to + shift)[:, None, None] + local) / extent - 1
    piece = grid_sample(source, grid.flip(3), "nearest", "border", align_corners=False)
    color = (jitter * (2 * drawn[:, 5:] - 1)).view(b, 2, channels, 1, 1)
    return torch.where(inside[:, None], piece * (1 + color[:, 0]) + color[:, 1], x)


def patch_size(x: Tensor) -> Tensor:
    """Draws sizes (B, 2) in pixels: 2 to 15 % of the area, aspect ratio from 0.3 to 3.3."""
    share, ratio = rand_per_sample(len(x), 2, like=x).unbind(dim=1)
    area = (0.02 + 0.13 * share) * x[0, 0].numel()
    aspect = ((2 * ratio - 1) * log(0.3)).exp()
    return torch.stack([area / aspect, area * aspect], dim=1).sqrt()


def scar_size(x: Tensor) -> Tensor:
    """Draws sizes (B, 2) of scars: 10 to 25 by 2 to 16 pixels at 256, at least half of that."""
    drawn = rand_per_sample(len(x), 2, like=x)
    scale = max(x.shape[3], 128) / 256
    return scale * (drawn.new_tensor([10, 2]) + drawn.new_tensor([15, 14]) * drawn)


def _other(x: Tensor, jitter: float) -> Tensor:
    """Pastes a patch of a random image of the joint batch."""
    joint = all_gather(x)
    source = joint[(rand_per_sample(len(x), like=x) * len(joint)).long()]
    return paste(x, source, patch_size(x), jitter)


def _rectangle(x: Tensor, jitter: float) -> Tensor:
    return paste(x, x, patch_size(x), jitter)


CORRUPTIONS: dict[Kind, Callable[[Tensor, float], Tensor]] = {
    "none": lambda x, _: x,
    "rectangle": _rectangle,
    "scar": lambda x, jitter: paste(x, x, scar_size(x), jitter, turn=True),
    "ellipse": lambda x, jitter: paste(x, x, patch_size(x), jitter, turn=True, oval=True),
    "several": lambda x, jitter: _rectangle(_rectangle(x, jitter), jitter),
    "other": _other,
}


@full_precision
def cutpaste_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Computes the cross entropy over the kinds of corruption, eq. 1, as a mean over them.

    Args:
        logits: (n, K) scores of the kinds.
        labels: (n,) kind of each image.
    """
    return cross_entropy(logits, labels)


class CutPasteConfig(Config):
    """The paper has the kinds none, rectangle and scar; two more are added here."""

    kinds: Annotated[
        tuple[Kind, ...], Field(min_length=2, description="kinds of corruption that are classified")
    ] = ("none", "rectangle", "scar", "ellipse", "other")
    jitter: Annotated[float, Field(ge=0, description="strength of the patches' color jitter")] = 0.1
    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the head")] = 512


class CutPaste(Objective):
    """CutPaste: a head recognizes how an image was corrupted by pasting a patch into it.

    https://arxiv.org/abs/2104.04015, eq. 1. Every image is shown with every kind of corruption.
    """

    paper = "https://arxiv.org/abs/2104.04015"
    Config = CutPasteConfig

    def __init__(self, encoder: Encoder, config: CutPasteConfig) -> None:
        super().__init__(encoder, config)
        self.head = mlp(encoder.num_features, config.hidden_dim, len(config.kinds))

    @classmethod
    def views(cls, config: CutPasteConfig, size: int) -> tuple[View, ...]:
        """One weakly augmented view."""
        return (View(size, policy="weak"),)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss of each image with each kind of corruption."""
        x, kinds = batch.views[0], self.config.kinds
        corrupted = torch.cat([CORRUPTIONS[kind](x, self.config.jitter) for kind in kinds])
        labels = torch.arange(len(kinds), device=x.device).repeat_interleave(len(x))
        logits = self.head(self.encoder(corrupted))
        loss = cutpaste_loss(logits, labels)
        return Output(loss, {"cutpaste_accuracy": accuracy(logits, labels)})
