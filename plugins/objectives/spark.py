"""Masked modeling for convolutional networks, which see the visible places only.

Designing BERT for Convolutional Networks: Sparse and Hierarchical Masked Modeling (SparK),
Tian, Jiang, Diao, Lin, Wang, Yuan, 2023. https://arxiv.org/abs/2301.03580
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Annotated

import torch
from pydantic import Field
from timm.layers.conv_bn_act import ConvNormAct
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, fold, interpolate, layer_norm, mse_loss, pad
from torch.nn.modules import batchnorm, conv, pooling

from ... import Batch, Config, Encoder, Objective, Output, UsageError, View
from ...nn import full_precision, patchify, random_mask

_SPATIAL = (conv.Conv2d, pooling._MaxPoolNd, pooling._AvgPoolNd)


@full_precision
def sparse_loss(predicted: Tensor, patches: Tensor, mask: Tensor) -> Tensor:
    """Squared error on hidden patches, each normalized by itself, section 3.4.

    Of patches (B, N, P C), where the mask (B, N) is True, as often in every row.
    """
    return mse_loss(predicted[mask], layer_norm(patches, patches.shape[-1:], eps=1e-6)[mask])


@contextmanager
def visible_only(network: nn.Module, visible: Tensor) -> Iterator[None]:
    """Makes a network see visible places only, section 3.2, by dense operations.

    Convolution and pooling find zeros where it is hidden, as sparse ones do that never leave
    their sites; batch normalization takes its statistics from visible places. A coarse cell is
    visible if any part of it is: `visible` (B, 1, h, w) is 1 where visible, else 0.
    """
    shapes: list[torch.Size] = []

    @cache
    def at(height: int, width: int) -> Tensor:
        return adaptive_max_pool2d(visible, (height, width))

    def hide(_: nn.Module, given: tuple[Tensor]) -> Tensor:
        return given[0] * at(*given[0].shape[2:]).to(given[0].dtype)

    def narrow(_: nn.Module, given: tuple[Tensor]) -> Tensor:
        shapes.append(given[0].shape)
        sites = at(*given[0].shape[2:])[:, 0].bool()
        return given[0].permute(0, 2, 3, 1)[sites][..., None, None]  # (visible, C, 1, 1)

    def widen(_: nn.Module, given: tuple[Tensor], out: Tensor) -> Tensor:
        b, c, h, w = shapes.pop()
        x = out.new_zeros(b, h, w, c)
        x[at(h, w)[:, 0].bool()] = out[..., 0, 0]
        return x.permute(0, 3, 1, 2)

    with ExitStack() as hooks:
        for module in network.modules():
            if isinstance(module, _SPATIAL):
                hooks.enter_context(module.register_forward_pre_hook(hide))
            elif isinstance(module, batchnorm._BatchNorm):
                hooks.enter_context(module.register_forward_pre_hook(narrow))
                hooks.enter_context(module.register_forward_hook(widen))
        yield


def _block(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(ConvNormAct(width, width, 3), ConvNormAct(width, out, 3, apply_act=False))


class SparKConfig(Config):
    """The paper's ratio; a decoder for encoders of ResNet-18's size (the paper's: 768)."""

    ratio: Annotated[float, Field(gt=0, lt=1, description="share of the image hidden")] = 0.6
    width: Annotated[int, Field(ge=32, description="of the decoder's coarsest map")] = 256


class SparK(Objective):
    """Hides cells of the coarsest map that has 4 of them along a side (7 at 224 pixels)."""

    paper = "https://arxiv.org/abs/2301.03580"
    Config = SparKConfig
    needs = frozenset({"pyramid"})

    def __init__(self, encoder: Encoder, config: SparKConfig) -> None:
        super().__init__(encoder, config)
        size, shapes = encoder.image_size, encoder.pyramid_shapes(encoder.image_size)
        if shapes[0][1:] == shapes[-1][1:]:
            raise UsageError(f"SparK needs a CNN; '{encoder.name}' has maps of one size: use mae.")
        _, h, w = next((s for s in reversed(shapes) if s[2] >= 4), shapes[0])
        self.patch = math.ceil(size / h), math.ceil(size / w)
        self.cell = math.ceil(size / shapes[0][1]), math.ceil(size / shapes[0][2])
        dims = [shape[0] for shape in shapes]
        widths = [max(16, config.width >> i) for i in reversed(range(len(dims)))]
        self.fillers = nn.ParameterList(0.02 * torch.randn(dim, 1, 1) for dim in dims)
        self.laterals = nn.ModuleList(map(partial(nn.Conv2d, kernel_size=1), dims, widths))
        self.blocks = nn.ModuleList(map(_block, widths[1:], widths))
        pixels = self.cell[0] * self.cell[1] * encoder.channels
        self.head = nn.Sequential(_block(widths[0], widths[0]), nn.Conv2d(widths[0], pixels, 1))

    @classmethod
    def views(cls, config: SparKConfig, size: int) -> tuple[View, ...]:
        """One large crop, hardly altered."""
        return (View(size, scale=(0.67, 1.0), policy="weak"),)

    def restore(self, x: Tensor, visible: Tensor) -> Tensor:
        """Predicts images (B, C, H, W) from their visible (B, 1, h, w) places."""
        with visible_only(self.encoder, visible):
            maps = self.encoder.forward_pyramid(x)
        shown = [adaptive_max_pool2d(visible, m.shape[2:]) > 0 for m in maps]
        filled = map(torch.where, shown, maps, self.fillers)
        parts = [layer(m) for layer, m in zip(self.laterals, filled, strict=True)]
        y = parts.pop()
        for block in reversed(self.blocks):
            part = parts.pop()
            y = part + block(interpolate(y, size=part.shape[2:]))
        pixels = self.head(y)
        size = pixels.shape[2] * self.cell[0], pixels.shape[3] * self.cell[1]
        return fold(pixels.flatten(2), size, self.cell, stride=self.cell)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Error on the hidden patches, and how much better that is than their mean colors."""
        x, (tall, wide) = batch.views[0], self.patch
        x = pad(x, (0, -x.shape[3] % wide, 0, -x.shape[2] % tall))
        patches = patchify(x, self.patch)
        mask = random_mask(len(x), patches.shape[1], self.config.ratio, like=x)
        grid = x.shape[2] // tall, x.shape[3] // wide
        restored = self.restore(x, (~mask).to(x.dtype).view(-1, 1, *grid))
        loss = sparse_loss(patchify(restored, self.patch), patches, mask)
        flat = sparse_loss(torch.zeros_like(patches), patches, mask)
        return Output(loss, {"reconstruction_skill": 1 - loss.detach() / flat})
