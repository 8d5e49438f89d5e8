"""Masked autoencoder: reconstruction of masked patches from the few visible ones.

Masked Autoencoders Are Scalable Vision Learners,
He, Chen, Xie, Li, Dollar, Girshick, 2021. https://arxiv.org/abs/2111.06377
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed
from torch import Tensor, nn
from torch.nn.functional import layer_norm, mse_loss

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import check_whole_patches, full_precision, patchify, random_mask, transformer_decoder


@full_precision
def reconstruction_loss(predicted: Tensor, patches: Tensor, mask: Tensor) -> Tensor:
    """Computes the mean squared error on masked patches, normalized per patch, section 3.

    Variances are divided by n; the authors' code divides by n - 1.

    Args:
        predicted: (B, N, P C) predictions of normalized patches.
        patches: (B, N, P C) pixels of the patches.
        mask: (B, N), True where masked, with as many in every row.

    Returns:
        Scalar mean over masked pixels; about 1 if each patch is predicted by its mean.
    """
    target = layer_norm(patches, patches.shape[-1:], eps=1e-6)
    return mse_loss(predicted[mask], target[mask])


class MAEConfig(Config):
    """The paper's ratio; the decoder suits encoders of ViT-Tiny's size (paper: 512, 8 blocks)."""

    mask_ratio: Annotated[float, Field(gt=0, lt=1, description="masked share of patches")] = 0.75
    decoder_dim: Annotated[
        int, Field(ge=32, multiple_of=32, description="width of the decoder, 32 per head")
    ] = 192
    decoder_depth: Annotated[
        int, Field(ge=1, description="number of transformer blocks of the decoder")
    ] = 2


class MAE(Objective):
    """MAE: the encoder sees a quarter of the patches, and a small decoder reconstructs the others.

    https://arxiv.org/abs/2111.06377, section 3, with targets that are normalized per patch.
    """

    paper = "https://arxiv.org/abs/2111.06377"
    Config = MAEConfig
    needs = frozenset({"pyramid", "tokens"})
    trains = "tokens"
    defaults: ClassVar[Mapping[str, Any]] = {"optimizer": {"lr": 5e-4}}  # for a ViT

    def __init__(self, encoder: Encoder, config: MAEConfig) -> None:
        super().__init__(encoder, config)
        dim, h, w = encoder.pyramid_shapes(encoder.image_size)[-1]
        check_whole_patches(encoder)
        self.patch = encoder.image_size // h, encoder.image_size // w
        pixels = self.patch[0] * self.patch[1] * encoder.channels
        width = config.decoder_dim
        self.embed = nn.Linear(dim, width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        self.decoder = transformer_decoder(width, config.decoder_depth, pixels)

    @classmethod
    def views(cls, config: MAEConfig, size: int) -> tuple[View, ...]:
        """One weakly augmented crop, which worked best in the paper."""
        return (View(size, policy="weak"),)

    def restore(self, x: Tensor, mask: Tensor) -> Tensor:
        """Predicts the normalized patches (B, N, P C) of masked images.

        Args:
            x: (B, C, H, W) images.
            mask: (B, N), True where masked, with as many in every row.
        """
        keep = (~mask).nonzero()[:, 1].view(len(x), -1)
        visible = self.embed(self.encoder.forward_tokens(x, keep))
        prefix, visible = visible.split([self.encoder.num_prefix_tokens, keep.shape[1]], dim=1)
        tokens = self.mask_token.to(visible.dtype).expand(*mask.shape, -1)
        tokens = tokens.masked_scatter(~mask[..., None], visible)
        grid = [x.shape[2] // self.patch[0], x.shape[3] // self.patch[1]]
        positions = build_sincos2d_pos_embed(grid, self.config.decoder_dim, device=x.device)
        tokens = torch.cat([prefix, tokens + positions.to(tokens.dtype)], dim=1)
        restored: Tensor = self.decoder(tokens)[:, self.encoder.num_prefix_tokens :]
        return restored

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss, and its improvement over predicting the mean of each patch."""
        x = batch.views[0]
        patches = patchify(x, self.patch)
        mask = random_mask(len(x), patches.shape[1], self.config.mask_ratio, like=x)
        loss = reconstruction_loss(self.restore(x, mask), patches, mask)
        flat = reconstruction_loss(torch.zeros_like(patches), patches, mask)
        return Output(loss, {"reconstruction_skill": 1 - loss.detach() / flat})
