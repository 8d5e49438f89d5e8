"""Prediction of a momentum encoder's contextual features from a masked image.

data2vec: A General Framework for Self-supervised Learning in Speech, Vision and Language,
Baevski, Hsu, Xu, Babu, Gu, Auli, 2022. https://arxiv.org/abs/2202.03555
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, layer_norm, smooth_l1_loss

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import MaskPatch, Teacher, cosine_momentum, full_precision, upsample_mask


@full_precision
def latent_targets(maps: Tensor) -> Tensor:
    """Averages K normalized maps (K, B, D, h, w) to targets (B, h w, D), section 3.3."""
    features = maps.flatten(3).transpose(2, 3)
    return layer_norm(features, features.shape[-1:]).mean(dim=0)


@full_precision
def latent_loss(predicted: Tensor, target: Tensor, share: Tensor, beta: float) -> Tensor:
    """Computes the smooth L1 distance at masked positions, eq. 2.

    Args:
        predicted: (B, N, D) predicted features.
        target: (B, N, D) features of the teacher.
        share: (B, N), how much of each position is masked, in [0, 1]; it is 0 or 1 for a ViT.
        beta: Threshold between squared and absolute error (beta in eq. 2).

    Returns:
        Scalar mean over images of the weighted means over positions.
    """
    error = smooth_l1_loss(predicted, target, reduction="none", beta=beta).mean(dim=2)
    return ((error * share).sum(dim=1) / share.sum(dim=1)).mean()


class Data2VecConfig(Config):
    """Defaults of section 4.1 (vision), with the masks of SimMIM instead of BEiT's blocks."""

    mask_ratio: Annotated[float, Field(gt=0, lt=1, description="masked share of the image")] = 0.6
    grid_size: Annotated[
        int, Field(ge=2, description="approximate number of masked patches along a side")
    ] = 7
    top: Annotated[
        int, Field(ge=1, description="number of last feature maps that are averaged (K)")
    ] = 6
    beta: Annotated[
        float, Field(gt=0, description="threshold between squared and absolute error (beta)")
    ] = 2.0
    momentum: Annotated[
        float, Field(ge=0, le=1, description="initial momentum of the teacher, paper: 0.9998 (tau)")
    ] = 0.99


class Data2Vec(Objective):
    """data2vec: the features of masked patches match those of a teacher that sees the whole image.

    https://arxiv.org/abs/2202.03555, eq. 1 and 2. Targets are the average of the teacher's last K
    feature maps of one shape, so that it works for any encoder with feature maps.
    """

    paper = "https://arxiv.org/abs/2202.03555"
    Config = Data2VecConfig
    defaults: ClassVar[Mapping[str, Any]] = {"optimizer": {"clip": 3.0}}  # of BEiT, as in the paper
    needs = frozenset({"pyramid"})

    def __init__(self, encoder: Encoder, config: Data2VecConfig) -> None:
        super().__init__(encoder, config)
        dim = encoder.pyramid_shapes(encoder.image_size)[-1][0]
        self.cover = MaskPatch.fitting(encoder, config.grid_size)
        self.head = nn.Conv2d(dim, dim, 1)
        self.teacher = Teacher(encoder)

    @classmethod
    def views(cls, config: Data2VecConfig, size: int) -> tuple[View, ...]:
        """One weakly augmented view."""
        return (View(size, policy="weak"),)

    @torch.no_grad()
    def target(self, x: Tensor) -> Tensor:
        """Maps images (B, C, H, W) to the teacher's features (B, N, D)."""
        maps = self.teacher.encoder.forward_pyramid(x)
        alike = [m for m in maps if m.shape == maps[-1].shape]
        return latent_targets(torch.stack(alike[-self.config.top :]))

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes eq. 2; the standard deviation of the targets would fall to 0 in a collapse."""
        x = batch.views[0]
        mask = self.cover.draw(x, self.config.mask_ratio)
        predicted = self.head(self.cover.forward_pyramid(self.encoder, x, mask)[-1])  # (B, D, h, w)
        target = self.target(x)
        pixels = upsample_mask(mask, (x.shape[2], x.shape[3])).to(x.dtype)
        share = adaptive_avg_pool2d(pixels, predicted.shape[2:]).flatten(1)
        features = predicted.flatten(2).transpose(1, 2)
        loss = latent_loss(features, target, share, self.config.beta)
        return Output(loss, {"target_std": target.flatten(0, 1).std(dim=0).mean()})

    def after_step(self, step: int, steps: int) -> None:
        """Updates the teacher, eq. 1."""
        momentum = cosine_momentum(step, steps, self.config.momentum)
        self.teacher.update(self.encoder, momentum=momentum)
