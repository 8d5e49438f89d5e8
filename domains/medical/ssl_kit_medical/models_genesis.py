"""Image restoration after intensity transformation, local shuffling and painting.

Models Genesis: Generic Autodidactic Models for 3D Medical Image Analysis,
Zhou et al., 2019. https://arxiv.org/abs/1908.06912
"""

from __future__ import annotations

from math import ceil, log2
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss

from ssl_kit import Batch, Config, Encoder, Objective, Output, TrainingInfo, View
from ssl_kit.nn import full_precision, rand_per_sample

from .spoiling import bend, random_blocks, shuffle_within, windows


@full_precision
def restoration_loss(restored: Tensor, x: Tensor) -> Tensor:
    """Computes the mean squared error of restored images (B, C, H, W), in standardized units."""
    return mse_loss(restored, x)


class ModelsGenesisConfig(Config):
    """Probabilities of the authors' code; the decoder suits encoders of ResNet-18's size."""

    bend: Annotated[float, Field(ge=0, le=1, description="probability of intensity bending")] = 0.9
    shuffle: Annotated[float, Field(ge=0, le=1, description="probability of local shuffling")] = 0.5
    paint: Annotated[float, Field(ge=0, le=1, description="probability of painting")] = 0.9
    inpaint: Annotated[
        float, Field(ge=0, le=1, description="probability of in-painting instead of out-painting")
    ] = 0.2
    decoder_dim: Annotated[
        int, Field(ge=8, description="channels of the decoder's first feature map")
    ] = 128


class ModelsGenesis(Objective):
    """Models Genesis: a decoder restores images that were distorted in four ways.

    https://arxiv.org/abs/1908.06912. The distortions are non-linear intensity transformation, local
    pixel shuffling, in-painting and out-painting. The decoder sees the last feature map only,
    because the paper's skip connections would let pixels bypass the encoder.
    """

    paper = "https://arxiv.org/abs/1908.06912"
    Config = ModelsGenesisConfig
    needs = frozenset({"map"})
    trains = "map"
    mean: Tensor
    std: Tensor

    def __init__(self, encoder: Encoder, config: ModelsGenesisConfig) -> None:
        super().__init__(encoder, config)
        self.register_buffer("mean", torch.full((1, encoder.channels, 1, 1), 0.5))
        self.register_buffer("std", torch.full((1, encoder.channels, 1, 1), 0.25))
        width, _, w = encoder.pyramid_shapes(encoder.image_size)[-1]
        layers: list[nn.Module] = []
        for i in range(max(1, ceil(log2(encoder.image_size / w)))):
            narrow = max(config.decoder_dim >> i, 16)
            conv = nn.Conv2d(width, narrow, 3, padding=1, bias=False)
            layers += [nn.Upsample(scale_factor=2), conv, nn.BatchNorm2d(narrow), nn.ReLU()]
            width = narrow
        self.decoder = nn.Sequential(*layers, nn.Conv2d(width, encoder.channels, 3, padding=1))

    def prepare(self, training: TrainingInfo) -> None:
        """Stores mean and std of the views, because distortions act on values in [0, 1]."""
        self.mean.copy_(torch.tensor(training.mean).view_as(self.mean))
        self.std.copy_(torch.tensor(training.std).view_as(self.std))

    @classmethod
    def views(cls, config: ModelsGenesisConfig, size: int) -> tuple[View, ...]:
        """One weakly augmented view."""
        return (View(size, policy="weak"),)

    def spoil(self, x: Tensor) -> Tensor:
        """Distorts images (B, C, H, W) in [0, 1], in the order of the authors' code."""
        c, b = self.config, len(x)
        drawn = rand_per_sample(b, 9, like=x)
        chance = drawn[..., None, None, None]
        mixed = shuffle_within(x, random_blocks(x), rand_per_sample(b, *x.shape[2:], like=x))
        x = torch.where(chance[:, 0] < c.shuffle, mixed, x)
        bent = bend(x, drawn[:, 5:].view(b, 2, 2), drawn[:, 4] < 0.5)
        x = torch.where(chance[:, 1] < c.bend, bent, x)
        inside, kept = windows(x, 1 / 6, 1 / 3), windows(x, 3 / 7, 4 / 7)
        hidden = torch.where(chance[:, 3] < c.inpaint, inside, ~kept) & (chance[:, 2] < c.paint)
        return torch.where(hidden, rand_per_sample(*x.shape, like=x), x)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the restoration loss, and its skill against the mean image of the batch."""
        x = batch.views[0]
        spoilt = self.spoil((x * self.std + self.mean).clamp(0, 1))
        restored = self.decoder(self.encoder.forward_map((spoilt - self.mean) / self.std))
        loss = restoration_loss(interpolate(restored, size=x.shape[2:], mode="bilinear"), x)
        baseline = (x - x.mean(dim=0)).square().mean().clamp_min(1e-6)
        return Output(loss, {"restoration_skill": 1 - loss.detach() / baseline})
