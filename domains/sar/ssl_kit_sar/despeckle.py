"""Despeckling: prediction of one look from another look with independent speckle.

Noise2Noise: Learning Image Restoration without Clean Data, Lehtinen, Munkberg, Hasselgren, Laine,
Karras, Aittala, Aila, 2018. https://arxiv.org/abs/1803.04189
Two looks are sampled from one image as in Neighbor2Neighbor, Huang, Li, Jia, Lu, Liu, 2021.
https://arxiv.org/abs/2101.02824
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss, pixel_shuffle, pixel_unshuffle

from ssl_kit import Batch, Config, Encoder, Objective, Output, UsageError, View
from ssl_kit.nn import full_precision, rand_per_sample, refuse_signals


def halves(x: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Splits images into two looks, each the mean of two random pixels of each 2 x 2 block.

    Args:
        x: (B, C, 2 h, 2 w) images.
        draws: (B, 4, h, w) random numbers; the two lowest pixels of a block form the first look.

    Returns:
        Two looks (B, C, h, w) without common pixels.
    """
    cells = pixel_unshuffle(x, 2)
    cells = cells.view(len(x), x.shape[1], 4, *cells.shape[2:])  # (B, C, 4, h, w)
    sorted_cells = cells.take_along_dim(draws.argsort(dim=1)[:, None], dim=2)
    return sorted_cells[:, :, :2].mean(dim=2), sorted_cells[:, :, 2:].mean(dim=2)


def other_channels(x: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Splits the channels into two halves; the first one is repeated to the original number.

    Args:
        x: (B, C, H, W) images with an even C.
        draws: (B,) random numbers; below 0.5 the first half comes first.

    Returns:
        One half twice (B, C, H, W), and the other half (B, C / 2, H, W).
    """
    first, second = x.chunk(2, dim=1)
    swap = (draws >= 0.5)[:, None, None, None]
    source, target = torch.where(swap, second, first), torch.where(swap, first, second)
    return torch.cat([source, source], dim=1), target


@full_precision
def noise2noise(predicted: Tensor, look: Tensor) -> Tensor:
    """Computes the mean squared error against a noisy target, which is least at its mean, eq. 6.

    Args:
        predicted: (B, C, H, W) predictions.
        look: (B, C, H, W) targets, with noise that is independent of the input's noise.
    """
    return mse_loss(predicted, look)


class DespeckleConfig(Config):
    """Options of the two looks."""

    looks: Annotated[
        Literal["pixels", "channels"],
        Field(
            description="source of the two looks: neighboring pixels, or the two halves of the "
            "channels that data.options.values=sublooks gives"
        ),
    ] = "pixels"


class Despeckle(Objective):
    """Noise2Noise for speckle: a linear layer predicts one look from features of the other look.

    https://arxiv.org/abs/1803.04189, eq. 6. No clean image is needed. Neighboring pixels are
    independent looks only if images have at least twice the pixels of a view; where the sensor
    oversamples, they are correlated, and sub-looks are better.
    """

    paper = "https://arxiv.org/abs/1803.04189"
    Config = DespeckleConfig
    needs = frozenset({"map"})
    trains = "map"

    def __init__(self, encoder: Encoder, config: DespeckleConfig) -> None:
        super().__init__(encoder, config)
        refuse_signals(encoder, "despeckle")
        channels = encoder.channels
        if config.looks == "channels":
            if channels % 2:
                raise UsageError(
                    f"objective.looks=channels needs pairs of channels, not {channels}. Read the "
                    "images with data.options.values=sublooks, or use looks=pixels."
                )
            channels //= 2
        width, h, _ = encoder.pyramid_shapes(encoder.image_size)[-1]
        self.stride = max(1, round(encoder.image_size / h))
        self.head = nn.Conv2d(width, channels * self.stride**2, 1)
        nn.init.zeros_(self.head.weight)  # large initial errors would make units inactive

    @classmethod
    def views(cls, config: DespeckleConfig, size: int) -> tuple[View, ...]:
        """One view, of twice the size if looks come from pixels."""
        return (View(2 * size if config.looks == "pixels" else size, (1.0, 1.0), "weak"),)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the error of the predicted look; the skill is 1 - error / variance."""
        x = batch.views[0]
        b, _, height, width = x.shape
        if self.config.looks == "pixels":
            x = x[..., : height // 2 * 2, : width // 2 * 2]
            draws = rand_per_sample(b, 4, height // 2, width // 2, like=x)
            source, look = halves(x, draws)
        else:
            source, look = other_channels(x, rand_per_sample(b, like=x))
        predicted = pixel_shuffle(self.head(self.encoder.forward_map(source)), self.stride)
        predicted = interpolate(predicted, look.shape[-2:], mode="bilinear", align_corners=False)
        loss = noise2noise(predicted, look)
        skill = 1 - loss.detach() / look.float().var()
        return Output(loss, {"skill": skill})
