"""Predicts one look of a place from another whose speckle is independent.

Noise2Noise: Learning Image Restoration without Clean Data, Lehtinen, Munkberg, Hasselgren, Laine,
Karras, Aittala, Aila, 2018. https://arxiv.org/abs/1803.04189
The two looks from one image: Neighbor2Neighbor, Huang, Li, Jia, Lu, Liu, 2021.
https://arxiv.org/abs/2101.02824
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss, pixel_shuffle, pixel_unshuffle

from ssl_kit import Batch, Config, Encoder, Objective, Output, UsageError, View
from ssl_kit.nn import full_precision, rand_per_sample


def halves(x: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Averages two of each 2 x 2 pixels, and the other two: two looks without a common pixel.

    Args:
        x: (B, C, 2h, 2w).
        draws: (B, 4, h, w) random numbers; the two pixels with the lowest are the first look.

    Returns:
        Two of (B, C, h, w).
    """
    cells = pixel_unshuffle(x, 2)
    cells = cells.view(len(x), x.shape[1], 4, *cells.shape[2:])  # (B, C, 4, h, w)
    sorted_cells = cells.take_along_dim(draws.argsort(dim=1)[:, None], dim=2)
    return sorted_cells[:, :, :2].mean(dim=2), sorted_cells[:, :, 2:].mean(dim=2)


def other_channels(x: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Takes one half of the channels, twice, and the other half.

    Args:
        x: (B, C, H, W), C even.
        draws: (B,) random numbers; below 0.5 the first half comes first.

    Returns:
        (B, C, H, W) and (B, C / 2, H, W).
    """
    first, second = x.chunk(2, dim=1)
    swap = (draws >= 0.5)[:, None, None, None]
    seen, hidden = torch.where(swap, second, first), torch.where(swap, first, second)
    return torch.cat([seen, seen], dim=1), hidden


@full_precision
def noise2noise(predicted: Tensor, look: Tensor) -> Tensor:
    """Mean squared error against a noisy target, whose minimum is the mean over its noise, eq. 6.

    Args:
        predicted: (B, C, H, W).
        look: (B, C, H, W), with noise that is independent of what was predicted from.
    """
    return mse_loss(predicted, look)


class DespeckleConfig(Config):
    """Where the two looks come from."""

    looks: Annotated[
        Literal["pixels", "channels"],
        Field(description="of neighboring pixels, or of the two halves of the channels, as the "
              "reader gives them with data.options.values=sublooks"),
    ] = "pixels"  # fmt: skip


class Despeckle(Objective):
    """Despeckling without a clean image, from the encoder's last feature map by one linear layer.

    Neighboring pixels are independent looks only if images have twice the pixels of a view or
    more; where the sensor oversamples they are partly the same, and sub-looks are better.
    """

    paper = "https://arxiv.org/abs/1803.04189"
    Config = DespeckleConfig
    needs = frozenset({"map"})

    def __init__(self, encoder: Encoder, config: DespeckleConfig) -> None:
        super().__init__(encoder, config)
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
        nn.init.zeros_(self.head.weight)  # a random guess is far off, and correcting it kills units

    @classmethod
    def views(cls, config: DespeckleConfig, size: int) -> tuple[View, ...]:
        """One view, of twice the size where pixels are shared out."""
        return (View(2 * size if config.looks == "pixels" else size, (1.0, 1.0), "weak"),)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Error of the look predicted from the other; the skill is 1 - error / variance."""
        x = batch.views[0]
        b, _, height, width = x.shape
        if self.config.looks == "pixels":
            x = x[..., : height // 2 * 2, : width // 2 * 2]
            draws = rand_per_sample(b, 4, height // 2, width // 2, like=x)
            seen, look = halves(x, draws)
        else:
            seen, look = other_channels(x, rand_per_sample(b, like=x))
        predicted = pixel_shuffle(self.head(self.encoder.forward_map(seen)), self.stride)
        predicted = interpolate(predicted, look.shape[-2:], mode="bilinear", align_corners=False)
        loss = noise2noise(predicted, look)
        skill = 1 - loss.detach() / look.float().var()
        return Output(loss, {"skill": skill})
