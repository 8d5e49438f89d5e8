"""Colorization: prediction of the colors of an image from its lightness.

Colorful Image Colorization,
Zhang, Isola, Efros, 2016. https://arxiv.org/abs/1603.08511
"""

from __future__ import annotations

from math import log2
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy

from ... import Batch, Config, Encoder, Objective, Output, UsageError, View
from ...nn import (
    accuracy,
    all_gather,
    full_precision,
    kmeans,
    refuse_signals,
    soft_encode,
    up_decoder,
)

_FITTED_ON = 8192  # colors that the palette is computed from
_MOMENTUM = 0.99  # of the moving average of the colors' frequencies


def rebalance(frequency: Tensor, uniform: float) -> Tensor:
    """Computes weights (Q,) that rebalance rare colors, eq. 4.

    They are proportional to 1 / ((1 - lambda) p + lambda / Q) and have the mean 1 under p.

    Args:
        frequency: (Q,) frequency of each color (p).
        uniform: Weight of the uniform distribution (lambda).
    """
    weight = 1 / ((1 - uniform) * frequency + uniform / len(frequency))
    return weight / (frequency * weight).sum()


@full_precision
def color_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Computes the weighted cross entropy, eq. 2 and 3, as a mean over positions.

    Args:
        logits: (n, Q) scores of the colors.
        target: (n, Q) from `nn.soft_encode`.
        weight: (Q,) weight of each color; that of the target's main color applies.
    """
    v = weight[target.argmax(dim=1)]
    return (v * cross_entropy(logits, target, reduction="none")).mean()


class ColorizationConfig(Config):
    """Defaults of section 2.2; the paper has 313 colors for a million photographs."""

    num_colors: Annotated[
        int, Field(ge=2, description="number of quantized colors in the palette (Q)")
    ] = 64
    uniform: Annotated[
        float, Field(gt=0, le=1, description="weight of the uniform distribution (lambda in eq. 4)")
    ] = 0.5
    decoder_dim: Annotated[
        int, Field(ge=1, description="channels of the decoder's first feature map")
    ] = 128


class Colorization(Objective):
    """Colorization: a decoder classifies the quantized color of each position.

    https://arxiv.org/abs/1603.08511, eq. 2 to 4, for images of two or more channels. The input is
    the mean of the channels, repeated in all of them, and the color is the difference from it (the
    paper has the Lab color space). The palette is computed by k-means on the first batch (a grid in
    the paper). Positions are about four pixels apart, as in the paper.
    """

    paper = "https://arxiv.org/abs/1603.08511"
    Config = ColorizationConfig
    needs = frozenset({"map", "pyramid"})
    trains = "map"
    palette: Tensor
    frequency: Tensor
    fitted: Tensor

    def __init__(self, encoder: Encoder, config: ColorizationConfig) -> None:
        super().__init__(encoder, config)
        if encoder.channels < 2:
            raise UsageError(
                "Colorization needs at least two channels, and these images have one; "
                "choose an objective that works without colors, such as context_encoder."
            )
        refuse_signals(encoder, "colorization")
        width, h, _ = encoder.pyramid_shapes(encoder.image_size)[-1]
        doublings = max(0, round(log2(encoder.image_size / 4 / h)))
        self.decoder = up_decoder(width, config.decoder_dim, doublings, config.num_colors)
        self.register_buffer("palette", torch.zeros(config.num_colors, encoder.channels))
        self.register_buffer("frequency", torch.full((config.num_colors,), 1 / config.num_colors))
        self.register_buffer("fitted", torch.tensor(False))

    @classmethod
    def views(cls, config: ColorizationConfig, size: int) -> tuple[View, ...]:
        """One view with unchanged colors."""
        return (View(size, policy="weak"),)

    @torch.no_grad()
    def fit(self, colors: Tensor) -> None:
        """Computes the palette from the distinct colors (n, C) of all processes."""
        rows = all_gather(colors)
        distinct = torch.unique(rows, dim=0)
        subset = distinct[:: max(1, len(distinct) // _FITTED_ON)]
        self.palette.copy_(kmeans(subset, len(self.palette)))
        self.frequency.copy_(soft_encode(rows, self.palette).mean(dim=0))
        self.fitted.fill_(True)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss of the predicted color at each position."""
        x = batch.views[0]
        gray = x.mean(dim=1, keepdim=True)
        scores = self.decoder(self.encoder.forward_map(gray.expand_as(x)))
        pooled = adaptive_avg_pool2d(x - gray, scores.shape[2:])
        logits, colors = (part.movedim(1, 3).flatten(0, 2) for part in (scores, pooled))
        if not self.fitted:
            self.fit(colors)
        target = soft_encode(colors, self.palette)
        weight = rebalance(self.frequency, self.config.uniform)
        loss = color_loss(logits, target, weight)
        with torch.no_grad():
            frequency = all_gather(target.mean(dim=0, keepdim=True)).mean(dim=0)
            prior = self.frequency.clamp(min=1e-9).log().expand_as(logits)
            baseline = color_loss(prior, target, weight)
            self.frequency.lerp_(frequency, 1 - _MOMENTUM)
        correct, skill = accuracy(logits, target.argmax(dim=1)), 1 - loss.detach() / baseline
        return Output(loss, {"color_accuracy": correct, "color_skill": skill})
