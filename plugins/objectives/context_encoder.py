"""Fills a cut-out region of an image from its surroundings.

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
from ...nn import full_precision, rand_per_sample


def hidden_region(x: Tensor, shape: str) -> Tensor:
    """Returns (B, 1, H, W), True on about a quarter of each image (B, C, H, W), section 3.3.

    Args:
        x: Images.
        shape: "center": a square; "blocks": five, of a quarter of the side, which may overlap;
            "region": patches of any outline, where a smooth random field is high.
    """
    b, _, *size = x.shape
    if shape == "region":
        field = interpolate(rand_per_sample(b, 1, 6, 6, like=x), size, mode="bicubic")
        edge = field.flatten(1).kthvalue(round(0.75 * field[0].numel()), dim=1).values
        return field > edge.view(-1, 1, 1, 1)
    corner, side = x.new_full((b, 1, 2, 1), 0.25), 0.5  # in shares of height and width
    if shape == "blocks":
        corner, side = 0.75 * rand_per_sample(b, 5, 2, 1, like=x), 0.25
    grids = [(torch.arange(n, device=x.device) + 0.5) / n for n in size]
    down, right = (
        (g >= corner[:, :, i]) & (g < corner[:, :, i] + side) for i, g in enumerate(grids)
    )
    return (down[..., :, None] & right[..., None, :]).any(dim=1, keepdim=True)


def up_decoder(width: int, hidden: int, doublings: int, out: int) -> nn.Sequential:
    """Up-convolutions that double a map `doublings` times, each half as wide as the one before."""
    layers: list[nn.Module] = []
    for i in range(doublings):
        narrow = max(hidden >> i, 32)
        up = nn.ConvTranspose2d(width, narrow, 4, stride=2, padding=1, bias=False)
        layers += [up, nn.BatchNorm2d(narrow), nn.ReLU(inplace=True)]
        width = narrow
    return nn.Sequential(*layers, nn.Conv2d(width, out, 1))


@full_precision
def reconstruction_loss(filled: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    """Squared error of what was hidden, eq. 1, as a mean over values, then over images.

    Args:
        filled: (B, C, H, W), what the network makes of the rest.
        x: (B, C, H, W).
        hidden: (B, 1, H, W), M, True where hidden; some pixel of each image is.
    """
    error = (filled - x).square().mean(dim=1, keepdim=True) * hidden
    return (error.sum(dim=(1, 2, 3)) / hidden.sum(dim=(1, 2, 3))).mean()


@full_precision
def discriminator_loss(real: Tensor, filled: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(filled)), eq. 2, as a mean over logits (B, 1)."""
    return (softplus(-real) + softplus(filled)).mean()


@full_precision
def deception_loss(filled: Tensor) -> Tensor:
    """-log D(filled) of logits (B, 1): eq. 2 for the generator, in the form that does not stall."""
    return softplus(-filled).mean()


class ContextEncoderConfig(Config):
    """Features are learned without an adversary (section 5.2); widths as suits ResNet-18."""

    shape: Annotated[
        Literal["region", "blocks", "center"], Field(description="of what is cut out")
    ] = "region"
    adversarial: Annotated[
        float, Field(ge=0, lt=1, description="lambda_adv of eq. 3; 0.001 where the fill matters")
    ] = 0.0
    hidden: Annotated[int, Field(ge=1, description="width of the decoder's first map")] = 256


class ContextEncoder(Objective):
    """Inpainting: encoder, channel-wise fully connected layer, up-convolutional decoder.

    A 1x1 convolution narrows the map before the fully connected layer, not after it: that layer
    grows with the square of the map's cells. The paper's rim of visible pixels around a center
    square, restored with ten times the weight for a seamless fill, is left out.
    """

    paper = "https://arxiv.org/abs/1604.07379"
    Config = ContextEncoderConfig
    needs = frozenset({"map", "pyramid"})

    def __init__(self, encoder: Encoder, config: ContextEncoderConfig) -> None:
        super().__init__(encoder, config)
        size, channels, hidden = encoder.image_size, encoder.channels, config.hidden
        width, h, w = encoder.pyramid_shapes(size)[-1]
        self.decoder = nn.Sequential(
            nn.Conv2d(width, hidden, 1),
            nn.Flatten(2),
            nn.Conv1d(hidden, hidden * h * w, h * w, groups=hidden),  # each channel by itself
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
        """One view that is hardly altered."""
        return (View(size, policy="weak"),)

    def fill(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Makes an image (B, C, H, W) of what is not hidden; the rest is at the mean, 0."""
        made = self.decoder(self.encoder.forward_map(x.masked_fill(hidden, 0)))
        return interpolate(made, x.shape[2:], mode="bilinear")

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Phase 0 fills, eq. 3; phase 1 trains the adversary, if there is one, eq. 2."""
        x, share = batch.views[0], self.config.adversarial
        hidden = hidden_region(x, self.config.shape)
        with torch.set_grad_enabled(phase == 0 and torch.is_grad_enabled()):
            filled = self.fill(x, hidden)
            loss = reconstruction_loss(filled, x, hidden)
        mean = reconstruction_loss(torch.zeros_like(x), x, hidden)
        skill = {"reconstruction_skill": 1 - loss.detach() / mean}
        if phase == 1:
            real, false = (self.discriminator(part * hidden) for part in (x, filled))
            return Output(discriminator_loss(real, false), skill)
        if share:
            frozen = {n: p.detach() for n, p in self.discriminator.named_parameters()}
            judged = functional_call(self.discriminator, frozen, (filled * hidden,))
            loss = (1 - share) * loss + share * deception_loss(judged)
        return Output(loss, skill)
