"""Restores the pixels of hidden patches from the few that the encoder sees.

Masked Autoencoders Are Scalable Vision Learners,
He, Chen, Xie, Li, Dollar, Girshick, 2021. https://arxiv.org/abs/2111.06377
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn.functional import layer_norm, mse_loss

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import full_precision, patchify, random_mask


@full_precision
def reconstruction_loss(predicted: Tensor, patches: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error on hidden patches, section 3, each patch normalized ("w/ norm").

    Variances are those of the patch itself, divided by n; the authors' code divides by n - 1.

    Args:
        predicted: (B, N, P C) normalized patches.
        patches: (B, N, P C) pixels.
        mask: (B, N), True where hidden; as many in every row.

    Returns:
        Scalar mean over hidden pixels; about 1 where every patch is guessed as its mean.
    """
    target = layer_norm(patches, patches.shape[-1:], eps=1e-6)
    return mse_loss(predicted[mask], target[mask])


class MAEConfig(Config):
    """The paper's ratio; a decoder for encoders of ViT-Tiny's size (the paper's: 512, 8 blocks)."""

    ratio: Annotated[float, Field(gt=0, lt=1, description="share of the patches hidden")] = 0.75
    width: Annotated[
        int, Field(ge=32, multiple_of=32, description="of the decoder, 32 for each head")
    ] = 192
    depth: Annotated[int, Field(ge=1, description="blocks of the decoder")] = 2


class MAE(Objective):
    """A masked auto-encoder: the encoder sees a quarter of the patches, a small decoder all."""

    paper = "https://arxiv.org/abs/2111.06377"
    Config = MAEConfig
    needs = frozenset({"pyramid", "tokens"})
    defaults: ClassVar[Mapping[str, Any]] = {"optimizer": {"lr": 5e-4}}  # as suits a ViT

    def __init__(self, encoder: Encoder, config: MAEConfig) -> None:
        super().__init__(encoder, config)
        dim, h, w = encoder.pyramid_shapes(encoder.image_size)[-1]
        self.patch = encoder.image_size // h, encoder.image_size // w
        pixels = self.patch[0] * self.patch[1] * encoder.channels
        width = config.width
        self.embed = nn.Linear(dim, width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        blocks = (Block(width, width // 32, qkv_bias=True) for _ in range(config.depth))
        self.decoder = nn.Sequential(*blocks, nn.LayerNorm(width), nn.Linear(width, pixels))

    @classmethod
    def views(cls, config: MAEConfig, size: int) -> tuple[View, ...]:
        """One crop, hardly altered, as the paper found best."""
        return (View(size, policy="weak"),)

    def restore(self, x: Tensor, mask: Tensor) -> Tensor:
        """Predicts normalized patches (B, N, P C) of images (B, C, H, W).

        Args:
            x: Images.
            mask: (B, N), True where hidden; as many in every row.
        """
        keep = (~mask).nonzero()[:, 1].view(len(x), -1)
        seen = self.embed(self.encoder.forward_tokens(x, keep))
        first, seen = seen.split([self.encoder.num_prefix_tokens, keep.shape[1]], dim=1)
        tokens = self.mask_token.to(seen.dtype).expand(*mask.shape, -1)
        tokens = tokens.masked_scatter(~mask[..., None], seen)
        grid = [x.shape[2] // self.patch[0], x.shape[3] // self.patch[1]]
        places = build_sincos2d_pos_embed(grid, self.config.width, device=x.device)
        tokens = torch.cat([first, tokens + places.to(tokens.dtype)], dim=1)
        restored: Tensor = self.decoder(tokens)[:, self.encoder.num_prefix_tokens :]
        return restored

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Error on the hidden patches, and how much better that is than their mean colors."""
        x = batch.views[0]
        patches = patchify(x, self.patch)
        mask = random_mask(len(x), patches.shape[1], self.config.ratio, like=x)
        loss = reconstruction_loss(self.restore(x, mask), patches, mask)
        flat = reconstruction_loss(torch.zeros_like(patches), patches, mask)
        return Output(loss, {"reconstruction_skill": 1 - loss.detach() / flat})
