"""Restores the pixels of hidden patches with one linear layer on the encoder's last map.

SimMIM: A Simple Framework for Masked Image Modeling,
Xie, Zhang, Cao, Lin, Bao, Yao, Dai, Hu, 2021. https://arxiv.org/abs/2111.09886
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import fold

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import MaskPatch, full_precision, upsample_mask


@full_precision
def masked_l1(predicted: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    """Mean absolute error of hidden pixels, section 3.4.

    Args:
        predicted: (B, C, H, W).
        x: (B, C, H, W) images.
        hidden: (B, 1, H, W), True where hidden; somewhere in every image.

    Returns:
        Scalar mean over images of the means over hidden pixels and channels.
    """
    error = (predicted - x).abs().mean(dim=1, keepdim=True) * hidden  # (B, 1, H, W)
    return (error.sum(dim=(1, 2, 3)) / hidden.sum(dim=(1, 2, 3))).mean()


class SimMIMConfig(Config):
    """Defaults of section 4.1: 60 % hidden, in places of 32 pixels at 224."""

    ratio: Annotated[float, Field(gt=0, lt=1, description="share of the image hidden")] = 0.6
    places: Annotated[
        int, Field(ge=2, description="hidden or visible places along a side, about")
    ] = 7


class SimMIM(Objective):
    """Masked image modeling for any encoder: a learned patch stands in the hidden places."""

    paper = "https://arxiv.org/abs/2111.09886"
    Config = SimMIMConfig
    needs = frozenset({"pyramid"})

    def __init__(self, encoder: Encoder, config: SimMIMConfig) -> None:
        super().__init__(encoder, config)
        dim, h, w = encoder.pyramid_shapes(encoder.image_size)[-1]
        self.cell = math.ceil(encoder.image_size / h), math.ceil(encoder.image_size / w)
        self.cover = MaskPatch.fitting(encoder, config.places)
        self.head = nn.Conv2d(dim, encoder.channels * self.cell[0] * self.cell[1], 1)

    @classmethod
    def views(cls, config: SimMIMConfig, size: int) -> tuple[View, ...]:
        """One large crop, hardly altered."""
        return (View(size, scale=(0.67, 1.0), policy="weak"),)

    def restore(self, x: Tensor, mask: Tensor) -> Tensor:
        """Predicts images (B, C, H, W) from what the masks (B, h, w) leave of them."""
        pixels = self.head(
            self.cover.forward_pyramid(self.encoder, x, mask)[-1]
        )  # (B, C P, h', w')
        size = pixels.shape[2] * self.cell[0], pixels.shape[3] * self.cell[1]
        restored = fold(pixels.flatten(2), size, self.cell, stride=self.cell)
        return restored[..., : x.shape[2], : x.shape[3]]

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Error of the hidden pixels, and how much better that is than the mean color."""
        x = batch.views[0]
        mask = self.cover.draw(x, self.config.ratio)
        hidden = upsample_mask(mask, (x.shape[2], x.shape[3]))
        loss = masked_l1(self.restore(x, mask), x, hidden)
        flat = masked_l1(torch.zeros_like(x), x, hidden)
        return Output(loss, {"reconstruction_skill": 1 - loss.detach() / flat})
