"""Masked image modeling: prediction of masked pixels by a linear layer.

SimMIM: A Simple Framework for Masked Image Modeling,
Xie, Zhang, Cao, Lin, Bao, Yao, Dai, Hu, 2021. https://arxiv.org/abs/2111.09886
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import (
    MaskPatch,
    check_whole_patches,
    full_precision,
    join_patches,
    refuse_signals,
    upsample_mask,
)


@full_precision
def masked_l1(predicted: Tensor, x: Tensor, mask: Tensor) -> Tensor:
    """Computes the mean absolute error of masked pixels, section 3.4.

    Args:
        predicted: (B, C, H, W) predicted images.
        x: (B, C, H, W) images.
        mask: (B, 1, H, W), True where masked, which is somewhere in every image.

    Returns:
        Scalar mean over images of the means over masked pixels and channels.
    """
    error = (predicted - x).abs().mean(dim=1, keepdim=True) * mask  # (B, 1, H, W)
    return (error.sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3))).mean()


class SimMIMConfig(Config):
    """Defaults of section 4.1: 60 % are masked, in patches of 32 pixels for images of 224."""

    mask_ratio: Annotated[float, Field(gt=0, lt=1, description="masked share of the image")] = 0.6
    grid_size: Annotated[
        int, Field(ge=2, description="approximate number of masked patches along a side")
    ] = 7


class SimMIM(Objective):
    """SimMIM: a linear layer predicts the pixels of masked patches from the last feature map.

    https://arxiv.org/abs/2111.09886, section 3. Masked patches are replaced by a learned patch of
    pixels, so that it works for CNN and ViT.
    """

    paper = "https://arxiv.org/abs/2111.09886"
    Config = SimMIMConfig
    defaults: ClassVar[Mapping[str, Any]] = {"optimizer": {"clip": 5.0}}
    needs = frozenset({"pyramid"})
    trains = "map"

    def __init__(self, encoder: Encoder, config: SimMIMConfig) -> None:
        super().__init__(encoder, config)
        refuse_signals(encoder, "simmim")
        check_whole_patches(encoder)
        dim, h, w = encoder.pyramid_shapes(encoder.image_size)[-1]
        self.stride = math.ceil(encoder.image_size / h), math.ceil(encoder.image_size / w)
        self.cover = MaskPatch.fitting(encoder, config.grid_size)
        self.head = nn.Conv2d(dim, encoder.channels * self.stride[0] * self.stride[1], 1)

    @classmethod
    def views(cls, config: SimMIMConfig, size: int) -> tuple[View, ...]:
        """One large, weakly augmented crop."""
        return (View(size, scale=(0.67, 1.0), policy="weak"),)

    def restore(self, x: Tensor, mask: Tensor) -> Tensor:
        """Predicts images (B, C, H, W) from their visible part, under masks (B, h, w)."""
        pixels = self.head(self.cover.forward_pyramid(self.encoder, x, mask)[-1])  # (B, C P, h, w)
        restored = join_patches(pixels, self.stride)
        return restored[..., : x.shape[2], : x.shape[3]]

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss, and its improvement over predicting the mean color of the dataset."""
        x = batch.views[0]
        mask = self.cover.draw(x, self.config.mask_ratio)
        pixels = upsample_mask(mask, (x.shape[2], x.shape[3]))
        loss = masked_l1(self.restore(x, mask), x, pixels)
        flat = masked_l1(torch.zeros_like(x), x, pixels)
        return Output(loss, {"reconstruction_skill": 1 - loss.detach() / flat})
