"""Guesses the colors of an image from its brightness.

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
from ...nn import all_gather, full_precision, kmeans
from .context_encoder import up_decoder

_FITTED_ON = 8192  # cells
_MEMORY = 0.99  # of the colors' frequencies, from step to step


@full_precision
def soft_encode(colors: Tensor, palette: Tensor) -> Tensor:
    """Spreads colors over the five nearest of a palette, section 2.2: H_gt^-1.

    The weights are Gaussian with half the mean distance of neighbors in the palette as sigma: the
    paper's 5 on a grid of 10.

    Args:
        colors: (n, C).
        palette: (Q, C).

    Returns:
        (n, Q) shares that sum to 1 for each color.
    """
    apart = torch.cdist(palette, palette).fill_diagonal_(torch.inf).amin(dim=1).mean()
    sigma = (apart / 2).clamp(min=1e-6)
    distance = torch.cdist(colors, palette, compute_mode="donot_use_mm_for_euclid_dist")
    near, which = distance.topk(min(5, len(palette)), largest=False)
    shares = (-((near / sigma) ** 2) / 2).softmax(dim=1)
    return torch.zeros_like(distance).scatter(1, which, shares)


def rebalance(frequency: Tensor, uniform: float) -> Tensor:
    """Weights w of the palette's colors (Q,), eq. 4: rare ones count more.

    w is proportional to 1 / ((1 - lambda) p + lambda / Q), and of mean 1 under p (Q,).
    """
    weight = 1 / ((1 - uniform) * frequency + uniform / len(frequency))
    return weight / (frequency * weight).sum()


@full_precision
def color_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted cross entropy, eq. 2 and 3, as a mean over cells.

    Args:
        logits: (n, Q).
        target: (n, Q) from `soft_encode`.
        weight: (Q,); that of the target's main color counts.
    """
    v = weight[target.argmax(dim=1)]
    return (v * cross_entropy(logits, target, reduction="none")).mean()


class ColorizationConfig(Config):
    """Defaults of section 2.2; the paper's palette of 313 suits photographs by the million."""

    palette: Annotated[int, Field(ge=2, description="Q, colors to tell apart")] = 64
    uniform: Annotated[float, Field(gt=0, le=1, description="lambda of eq. 4; 1: no weights")] = 0.5
    hidden: Annotated[int, Field(ge=1, description="width of the decoder's first map")] = 128


class Colorization(Objective):
    """Colorization of images of any two or more channels.

    The paper splits Lab into lightness and color; here brightness is the mean of the channels,
    shown in all of them, and color is what each has beside it. The palette is found by k-means in
    the first batch, not laid out as a grid. Cells are about four pixels wide, as in the paper.
    """

    paper = "https://arxiv.org/abs/1603.08511"
    Config = ColorizationConfig
    needs = frozenset({"map", "pyramid"})
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
        width, h, _ = encoder.pyramid_shapes(encoder.image_size)[-1]
        doublings = max(0, round(log2(encoder.image_size / 4 / h)))
        self.decoder = up_decoder(width, config.hidden, doublings, config.palette)
        self.register_buffer("palette", torch.zeros(config.palette, encoder.channels))
        self.register_buffer("frequency", torch.full((config.palette,), 1 / config.palette))
        self.register_buffer("fitted", torch.tensor(False))

    @classmethod
    def views(cls, config: ColorizationConfig, size: int) -> tuple[View, ...]:
        """One view with its own colors."""
        return (View(size, policy="weak"),)

    @torch.no_grad()
    def fit(self, colors: Tensor) -> None:
        """Chooses the palette from the different colors among (n, C) of every process."""
        rows = all_gather(colors)
        different = torch.unique(rows, dim=0)
        some = different[:: max(1, len(different) // _FITTED_ON)]
        self.palette.copy_(kmeans(some, len(self.palette)))
        self.frequency.copy_(soft_encode(rows, self.palette).mean(dim=0))
        self.fitted.fill_(True)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """The color of each cell from the brightness of the image."""
        x = batch.views[0]
        gray = x.mean(dim=1, keepdim=True)
        made = self.decoder(self.encoder.forward_map(gray.expand_as(x)))
        pooled = adaptive_avg_pool2d(x - gray, made.shape[2:])
        logits, colors = (part.movedim(1, 3).flatten(0, 2) for part in (made, pooled))
        if not self.fitted:
            self.fit(colors)
        target = soft_encode(colors, self.palette)
        weight = rebalance(self.frequency, self.config.uniform)
        loss = color_loss(logits, target, weight)
        with torch.no_grad():
            found = all_gather(target.mean(dim=0, keepdim=True)).mean(dim=0)
            typical = self.frequency.clamp(min=1e-9).log().expand_as(logits)
            guess = color_loss(typical, target, weight)
            self.frequency.lerp_(found, 1 - _MEMORY)
            correct = (logits.argmax(dim=1) == target.argmax(dim=1)).float().mean()
        return Output(loss, {"color_accuracy": correct, "color_skill": 1 - loss.detach() / guess})
