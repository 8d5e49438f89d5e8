"""Masked image modeling for convolutional networks, which see the visible patches only.

Designing BERT for Convolutional Networks: Sparse and Hierarchical Masked Modeling (SparK),
Tian, Jiang, Diao, Lin, Wang, Yuan, 2023. https://arxiv.org/abs/2301.03580
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from timm.layers.conv_bn_act import ConvNormAct
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, interpolate, pad

from ... import Batch, Config, Encoder, Objective, Output, UsageError, View
from ...nn import join_patches, patchify, random_mask, refuse_signals, visible_only
from .mae import reconstruction_loss


def _block(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(ConvNormAct(width, width, 3), ConvNormAct(width, out, 3, apply_act=False))


class SparKConfig(Config):
    """The paper's ratio; the decoder suits encoders of ResNet-18's size (paper: 768)."""

    mask_ratio: Annotated[float, Field(gt=0, lt=1, description="masked share of the patches")] = 0.6
    decoder_dim: Annotated[
        int, Field(ge=32, description="channels of the decoder's coarsest feature map")
    ] = 256


class SparK(Objective):
    """SparK: sparse convolutions encode visible patches, a U-Net decoder reconstructs the others.

    https://arxiv.org/abs/2301.03580, section 3. Each feature map is densified: a sparse batch
    normalization, a mask token at hidden positions, and a convolution. Patches are the positions of
    the coarsest feature map that has at least 4 of them along a side (7 at 224 pixels).
    """

    paper = "https://arxiv.org/abs/2301.03580"
    Config = SparKConfig
    defaults: ClassVar[Mapping[str, Any]] = {
        "optimizer": {"clip": 5.0, "weight_decay": 0.04, "weight_decay_end": 0.2}
    }
    needs = frozenset({"pyramid"})
    trains = "map"

    def __init__(self, encoder: Encoder, config: SparKConfig) -> None:
        super().__init__(encoder, config)
        refuse_signals(encoder, "spark")
        shapes = encoder.pyramid_shapes(size := encoder.image_size)
        if shapes[0][1:] == shapes[-1][1:]:
            raise UsageError(f"SparK needs a CNN; '{encoder.name}' has maps of one size: use mae.")
        _, h, w = next((s for s in reversed(shapes) if s[2] >= 4), shapes[0])
        self.patch = math.ceil(size / h), math.ceil(size / w)
        self.stride = math.ceil(size / shapes[0][1]), math.ceil(size / shapes[0][2])
        dims = [shape[0] for shape in shapes]
        widths = [max(16, config.decoder_dim >> i) for i in reversed(range(len(dims)))]
        self.fillers = nn.ParameterList(0.02 * torch.randn(dim, 1, 1) for dim in dims)
        self.norms = nn.ModuleList(map(nn.BatchNorm2d, dims))
        layers = zip(dims, widths, [3] * (len(dims) - 1) + [1], strict=True)  # the authors' sides
        self.laterals = nn.ModuleList(nn.Conv2d(d, w, k, padding=k // 2) for d, w, k in layers)
        self.blocks = nn.ModuleList(map(_block, widths[1:], widths))
        pixels = self.stride[0] * self.stride[1] * encoder.channels
        self.head = nn.Sequential(_block(widths[0], widths[0]), nn.Conv2d(widths[0], pixels, 1))

    def no_weight_decay(self) -> set[str]:
        """Names the mask tokens, which have no weight decay."""
        return {f"fillers.{i}" for i in range(len(self.fillers))}

    @classmethod
    def views(cls, config: SparKConfig, size: int) -> tuple[View, ...]:
        """One large, weakly augmented crop."""
        return (View(size, scale=(0.67, 1.0), policy="weak"),)

    def densify(self, maps: list[Tensor], visible: Tensor) -> list[Tensor]:
        """Normalizes maps (B, D, h, w), fills hidden positions, and projects: (B, D', h, w)."""
        with visible_only(self.norms, visible):
            maps = [norm(m) for norm, m in zip(self.norms, maps, strict=True)]
        shown = [adaptive_max_pool2d(visible, m.shape[2:]) > 0 for m in maps]
        filled = map(torch.where, shown, maps, self.fillers)
        return [layer(m) for layer, m in zip(self.laterals, filled, strict=True)]

    def restore(self, x: Tensor, visible: Tensor) -> Tensor:
        """Predicts images (B, C, H, W) from the patches where `visible` (B, 1, h, w) is 1."""
        with visible_only(self.encoder, visible):
            maps = self.encoder.forward_pyramid(x)
        parts = self.densify(maps, visible)
        y = parts.pop()
        for block in reversed(self.blocks):
            part = parts.pop()
            y = part + block(interpolate(y, size=part.shape[2:]))
        return join_patches(self.head(y), self.stride)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss, and its improvement over predicting the mean of each patch."""
        x, (tall, wide) = batch.views[0], self.patch
        x = pad(x, (0, -x.shape[3] % wide, 0, -x.shape[2] % tall))
        patches = patchify(x, self.patch)
        mask = random_mask(len(x), patches.shape[1], self.config.mask_ratio, like=x)
        grid = x.shape[2] // tall, x.shape[3] // wide
        restored = self.restore(x, (~mask).to(x.dtype).view(-1, 1, *grid))
        loss = reconstruction_loss(patchify(restored, self.patch), patches, mask)
        flat = reconstruction_loss(torch.zeros_like(patches), patches, mask)
        return Output(loss, {"reconstruction_skill": 1 - loss.detach() / flat})
