"""Tells which kind of patch was pasted into an image.

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
from ...nn import all_gather, full_precision, mlp, rand_per_sample

Way = Literal["none", "rectangle", "scar", "ellipse", "several", "other"]
_JITTER = 0.1


@torch.no_grad()
def paste(
    x: Tensor, source: Tensor, size: Tensor, turned: bool = False, oval: bool = False
) -> Tensor:
    """Cuts a piece out of `source` anywhere and pastes it, a little recolored, anywhere into x.

    Args:
        x: (B, C, H, W), standardized.
        source: (B, C, H, W).
        size: (B, 2) height and width of the pieces in pixels.
        turned: Whether they are turned by up to 45 degrees either way.
        oval: Whether they are ellipses rather than rectangles.
    """
    b, channels, *shape = x.shape
    drawn = rand_per_sample(b, 5 + 2 * channels, like=x)
    extent = size.new_tensor(shape)
    half = torch.minimum(size.clamp(min=1), extent) / 2
    cut, to = (half + part * (extent - 2 * half) for part in drawn[:, :4].chunk(2, dim=1))
    shift = (cut - to).round()  # whole pixels: blur would give a piece away
    axes = [torch.arange(n, device=x.device, dtype=size.dtype) + 0.5 for n in shape]
    away = torch.cartesian_prod(*axes).view(*shape, 2) - to[:, None, None]  # (B, H, W, 2)
    angle = turned * (2 * drawn[:, 4] - 1) * pi / 4
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 1, 2, 2)
    local = away @ turn
    relative = local / half[:, None, None]
    inside = relative.square().sum(dim=3) <= 1 if oval else relative.abs().amax(dim=3) <= 1
    found = 2 * ((to + shift)[:, None, None] + local) / extent - 1
    piece = grid_sample(source, found.flip(3), "nearest", "border", align_corners=False)
    color = (_JITTER * (2 * drawn[:, 5:] - 1)).view(b, 2, channels, 1, 1)
    return torch.where(inside[:, None], piece * (1 + color[:, 0]) + color[:, 1], x)


def patch_size(x: Tensor) -> Tensor:
    """Draws (B, 2) sizes in pixels: 2 to 15 % of the area, 0.3 to 3.3 times as wide as high."""
    share, ratio = rand_per_sample(len(x), 2, like=x).unbind(dim=1)
    area = (0.02 + 0.13 * share) * x[0, 0].numel()
    aspect = ((2 * ratio - 1) * log(0.3)).exp()
    return torch.stack([area / aspect, area * aspect], dim=1).sqrt()


def scar_size(x: Tensor) -> Tensor:
    """Draws (B, 2): 10 to 25 pixels by 2 to 16 where an image has 256, never under half of that."""
    drawn = rand_per_sample(len(x), 2, like=x)
    scale = max(x.shape[3], 128) / 256
    return scale * (drawn.new_tensor([10, 2]) + drawn.new_tensor([15, 14]) * drawn)


def _rectangle(x: Tensor) -> Tensor:
    return paste(x, x, patch_size(x))


def _other(x: Tensor) -> Tensor:
    """Of another image of the joint batch; one in as many is its own."""
    joint = all_gather(x)
    source = joint[(rand_per_sample(len(x), like=x) * len(joint)).long()]
    return paste(x, source, patch_size(x))


CORRUPTIONS: dict[Way, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "rectangle": _rectangle,
    "scar": lambda x: paste(x, x, scar_size(x), turned=True),
    "ellipse": lambda x: paste(x, x, patch_size(x), turned=True, oval=True),
    "several": lambda x: _rectangle(_rectangle(x)),
    "other": _other,
}


@full_precision
def cutpaste_loss(logits: Tensor, ways: int) -> Tensor:
    """Cross entropy over the kinds of corruption, eq. 1; the sum over them is here a mean.

    Args:
        logits: (K B, K), all images of the first kind, then all of the second, ...
        ways: K.
    """
    return cross_entropy(logits, _kinds(logits, ways))


def _kinds(logits: Tensor, ways: int) -> Tensor:
    return torch.arange(ways, device=logits.device).repeat_interleave(len(logits) // ways)


class CutPasteConfig(Config):
    """The paper's three ways are none, rectangle and scar; two more are told apart here."""

    ways: Annotated[
        tuple[Way, ...], Field(min_length=2, description="kinds of corruption to tell apart")
    ] = ("none", "rectangle", "scar", "ellipse", "other")
    hidden: Annotated[int, Field(ge=1, description="width inside the head")] = 512


class CutPaste(Objective):
    """Classification of what was done to an image; every image is shown in every way."""

    paper = "https://arxiv.org/abs/2104.04015"
    Config = CutPasteConfig

    def __init__(self, encoder: Encoder, config: CutPasteConfig) -> None:
        super().__init__(encoder, config)
        self.head = mlp(encoder.num_features, config.hidden, len(config.ways))

    @classmethod
    def views(cls, config: CutPasteConfig, size: int) -> tuple[View, ...]:
        """One view that is hardly altered."""
        return (View(size, policy="weak"),)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Corrupts each image in each way and asks which it was."""
        ways = self.config.ways
        shown = torch.cat([CORRUPTIONS[way](batch.views[0]) for way in ways])
        logits = self.head(self.encoder(shown))
        accuracy = (logits.argmax(dim=1) == _kinds(logits, len(ways))).float().mean()
        return Output(cutpaste_loss(logits, len(ways)), {"cutpaste_accuracy": accuracy.detach()})
