"""Inpainting: prediction of a masked region of an image from its surroundings.

Context Encoders: Feature Learning by Inpainting,
Pathak, Krahenbuhl, Donahue, Darrell, Efros, 2016. https://arxiv.org/abs/1604.07379
"""

from __future__ import annotations

from math import log2
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import interpolate, softplus

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import full_precision, inpainting_mask, refuse_signals, up_decoder


@full_precision
def reconstruction_loss(filled: Tensor, x: Tensor, mask: Tensor) -> Tensor:
    """Computes the squared error in the masked region, eq. 1, as a mean per image.

    Args:
        filled: (B, C, H, W) predicted images.
        x: (B, C, H, W) images.
        mask: (B, 1, H, W), True where masked, which is somewhere in each image (M).
    """
    error = (filled - x).square().mean(dim=1, keepdim=True) * mask
    return (error.sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3))).mean()


@full_precision
def discriminator_loss(real: Tensor, filled: Tensor) -> Tensor:
    """Computes -log D(x) - log(1 - D(filled)), eq. 2, as a mean over logits (B, 1)."""
    return (softplus(-real) + softplus(filled)).mean()


@full_precision
def generator_loss(filled: Tensor) -> Tensor:
    """Computes -log D(filled) of logits (B, 1), the non-saturating loss of the generator."""
    return softplus(-filled).mean()


class ContextEncoderConfig(Config):
    """Features are learned without an adversary (section 5.2); dimensions suit ResNet-18."""

    shape: Annotated[
        Literal["region", "blocks", "center"], Field(description="shape of the masked region")
    ] = "region"
    adversarial: Annotated[
        float,
        Field(ge=0, lt=1, description="weight of the adversarial loss, e.g. 0.001 (lambda_adv)"),
    ] = 0.0
    decoder_dim: Annotated[
        int, Field(ge=1, description="channels of the decoder's first feature map")
    ] = 256


class ContextEncoder(Objective):
    """Context encoder: an encoder, a channel-wise fully connected layer and a decoder inpaint.

    https://arxiv.org/abs/1604.07379, eq. 1 to 3. A 1 x 1 convolution reduces the channels before
    the fully connected layer (after it in the paper), whose size grows with the square of the
    number of positions. The ten-fold weight of a border around a center square is omitted.
    """

    paper = "https://arxiv.org/abs/1604.07379"
    Config = ContextEncoderConfig
    needs = frozenset({"map", "pyramid"})
    trains = "map"

    def __init__(self, encoder: Encoder, config: ContextEncoderConfig) -> None:
        super().__init__(encoder, config)
        refuse_signals(encoder, "context_encoder")
        size, channels, hidden = encoder.image_size, encoder.channels, config.decoder_dim
        width, h, w = encoder.pyramid_shapes(size)[-1]
        self.decoder = nn.Sequential(
            nn.Conv2d(width, hidden, 1),
            nn.Flatten(2),
            nn.Conv1d(hidden, hidden * h * w, h * w, groups=hidden),  # channel-wise
            nn.Flatten(),
            nn.Unflatten(1, (hidden, h, w)),
            up_decoder(hidden, hidden, max(0, round(log2(size / h))), channels),
        )
        if config.adversarial:
            self.phases = 2
            layers: list[nn.Module] = []
            for wide, out in ((channels, 32), (32, 64), (64, 128)):
                layers += [nn.Conv2d(wide, out, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            last = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 1))
            self.discriminator = nn.Sequential(*layers, *last)

    @classmethod
    def views(cls, config: ContextEncoderConfig, size: int) -> tuple[View, ...]:
        """One weakly augmented view."""
        return (View(size, policy="weak"),)

    def fill(self, x: Tensor, mask: Tensor) -> Tensor:
        """Predicts images (B, C, H, W) from their unmasked pixels; masked ones are 0, the mean."""
        filled = self.decoder(self.encoder.forward_map(x.masked_fill(mask, 0)))
        return interpolate(filled, x.shape[2:], mode="bilinear")

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes eq. 3 in phase 0, and the loss of the discriminator, eq. 2, in phase 1."""
        x, share = batch.views[0], self.config.adversarial
        mask = inpainting_mask(x, self.config.shape)
        with torch.set_grad_enabled(phase == 0 and torch.is_grad_enabled()):
            filled = self.fill(x, mask)
            loss = reconstruction_loss(filled, x, mask)
        mean = reconstruction_loss(torch.zeros_like(x), x, mask)
        skill = {"reconstruction_skill": 1 - loss.detach() / mean}
        if phase == 1:
            real, fake = (self.discriminator(part * mask) for part in (x, filled))
            return Output(discriminator_loss(real, fake), skill)
        if share:
            frozen = {n: p.detach() for n, p in self.discriminator.named_parameters()}
            logits = functional_call(self.discriminator, frozen, (filled * mask,))
            loss = (1 - share) * loss + share * generator_loss(logits)
        return Output(loss, skill)
