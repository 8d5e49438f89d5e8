"""Tells at which magnification a part of an image is shown.

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
from ssl_kit.nn import full_precision, rand_per_sample


def magnified(x: Tensor, steps: Tensor, places: Tensor, levels: int) -> Tensor:
    """Shows 1 / 2^k of the side of each image, all at the same number of pixels.

    Pixels are averaged, never interpolated, so that no blur gives the answer away.

    Args:
        x: (B, C, S 2^(levels - 1), S 2^(levels - 1)).
        steps: (B,) k, from 0, the whole image, to levels - 1.
        places: (B, 2) in [0, 1), where the part lies, as a share of where it can.
        levels: K, number of magnifications.

    Returns:
        (B, C, S, S).
    """
    size = x.shape[-1] >> (levels - 1)
    out = x.new_empty(*x.shape[:2], size, size)
    pixels = torch.arange(size, device=x.device)
    for step in range(levels):
        images = (steps == step).nonzero()[:, 0]
        pooled = avg_pool2d(x[images], 1 << (levels - 1 - step))
        corner = (places[images] * (pooled.shape[-1] - size + 1)).long()
        rows, cols = (corner[:, axis, None] + pixels for axis in (0, 1))
        one = torch.arange(len(images), device=x.device)[:, None, None]
        out[images] = pooled[one, :, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)
    return out


@full_precision
def magnification_loss(logits: Tensor, steps: Tensor) -> Tensor:
    """Cross entropy over the magnifications.

    Args:
        logits: (B, K).
        steps: (B,) the right ones.
    """
    return cross_entropy(logits, steps)


class MagnificationConfig(Config):
    """The paper's scanners give 40x, 20x, 10x and 5x; three of them fit into a usual tile."""

    levels: Annotated[
        int,
        Field(
            ge=2,
            le=5,
            description="K magnifications, each twice the one before: images should have "
            "2^(K - 1) times the pixels of a view",
        ),
    ] = 3


class Magnification(Objective):
    """Magnification prediction, from one tile.

    The paper reads each magnification from the slide; here the tile is the lowest, and the
    higher ones are parts of it at full resolution, so that folders of patches serve too. Every
    image is shown at one magnification a step.
    """

    paper = "https://arxiv.org/abs/2008.05571"
    Config = MagnificationConfig

    def __init__(self, encoder: Encoder, config: MagnificationConfig) -> None:
        super().__init__(encoder, config)
        self.head = nn.Linear(encoder.num_features, config.levels)

    @classmethod
    def views(cls, config: MagnificationConfig, size: int) -> tuple[View, ...]:
        """One view of the whole image, as large as its highest magnification asks for."""
        return (View(size << (config.levels - 1), (1.0, 1.0), "weak"),)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Each image at a random magnification, at a random place."""
        x, levels = batch.views[0], self.config.levels
        draws = rand_per_sample(len(x), 3, like=x)
        steps = (draws[:, 0] * levels).long()
        logits = self.head(self.encoder(magnified(x, steps, draws[:, 1:], levels)))
        accuracy = (logits.argmax(dim=1) == steps).float().mean()
        loss = magnification_loss(logits, steps)
        return Output(loss, {"magnification_accuracy": accuracy.detach()})
