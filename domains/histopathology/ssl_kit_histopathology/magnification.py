"""Magnification prediction: at which magnification is a part of an image shown?

Self-Path: Self-supervision for Classification of Pathology Images with Limited Annotations,
Koohbanani, Unnikrishnan, Khurram, Krishnaswamy, Rajpoot, 2020. https://arxiv.org/abs/2008.05571
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy

from ssl_kit import Batch, Config, Encoder, Objective, Output, View
from ssl_kit.nn import accuracy, full_precision, rand_per_sample, refuse_signals


def magnified(x: Tensor, steps: Tensor, positions: Tensor, levels: int) -> Tensor:
    """Crops 1 / 2^k of the side of each image and averages pixels to S x S.

    Pixels are averaged, not interpolated, because blur would reveal the magnification.

    Args:
        x: (B, C, S 2^(levels - 1), S 2^(levels - 1)) images.
        steps: (B,) exponent k of each image, from 0 (the whole image) to levels - 1.
        positions: (B, 2) position of the crop in [0, 1), as a share of its range.
        levels: Number of magnifications (K).

    Returns:
        (B, C, S, S) images.
    """
    size = x.shape[-1] >> (levels - 1)
    out = x.new_empty(*x.shape[:2], size, size)
    pixels = torch.arange(size, device=x.device)
    for step in range(levels):
        images = (steps == step).nonzero()[:, 0]
        pooled = avg_pool2d(x[images], 1 << (levels - 1 - step))
        corner = (positions[images] * (pooled.shape[-1] - size + 1)).long()
        rows, cols = (corner[:, axis, None] + pixels for axis in (0, 1))
        one = torch.arange(len(images), device=x.device)[:, None, None]
        out[images] = pooled[one, :, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)
    return out


@full_precision
def magnification_loss(logits: Tensor, steps: Tensor) -> Tensor:
    """Computes the cross entropy over the magnifications.

    Args:
        logits: (B, K) scores of the magnifications.
        steps: (B,) magnification of each image.
    """
    return cross_entropy(logits, steps)


class MagnificationConfig(Config):
    """The paper has 40x, 20x, 10x and 5x; three of them fit into a tile of usual size."""

    levels: Annotated[
        int,
        Field(
            ge=2,
            le=5,
            description="number of magnifications by factors of 2; images should have 2^(K - 1) "
            "times the side of a view (K)",
        ),
    ] = 3


class Magnification(Objective):
    """Magnification prediction: a linear layer classifies the magnification of a crop.

    https://arxiv.org/abs/2008.05571. The paper reads each magnification from the slide. Here the
    tile is the lowest magnification, and crops of it at full resolution are the higher ones, so
    that it works for folders of patches. Each image is shown at one magnification per step.
    """

    paper = "https://arxiv.org/abs/2008.05571"
    Config = MagnificationConfig

    def __init__(self, encoder: Encoder, config: MagnificationConfig) -> None:
        super().__init__(encoder, config)
        refuse_signals(encoder, "magnification")
        self.head = nn.Linear(encoder.num_features, config.levels)

    @classmethod
    def views(cls, config: MagnificationConfig, size: int) -> tuple[View, ...]:
        """One view of the whole image, at the resolution of the highest magnification."""
        return (View(size << (config.levels - 1), (1.0, 1.0), "weak"),)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss of one random magnification and position per image."""
        x, levels = batch.views[0], self.config.levels
        draws = rand_per_sample(len(x), 3, like=x)
        steps = (draws[:, 0] * levels).long()
        logits = self.head(self.encoder(magnified(x, steps, draws[:, 1:], levels)))
        metrics = {"magnification_accuracy": accuracy(logits, steps)}
        return Output(magnification_loss(logits, steps), metrics)
