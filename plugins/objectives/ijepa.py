"""Prediction of a momentum encoder's features of target blocks from a context block.

Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture,
Assran, Duval, Misra, Bojanowski, Vincent, Rabbat, LeCun, Ballas, 2023.
https://arxiv.org/abs/2301.08243
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, cast

import torch
from pydantic import Field
from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed
from torch import Tensor, nn
from torch.nn.functional import layer_norm, pad, smooth_l1_loss

from ... import Batch, Config, Encoder, Objective, Output, UsageError, View
from ...nn import Teacher, full_precision, random_blocks, transformer_decoder


@full_precision
def prediction_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Computes the smooth L1 distance to layer-normalized targets (L2 in the paper).

    The authors' code has this loss.

    Args:
        predicted: (n, M, D) predicted features of M patches.
        target: (n, M, D) features of the teacher.
    """
    return smooth_l1_loss(predicted, layer_norm(target, target.shape[-1:]))


class IJEPAConfig(Config):
    """Defaults of section 4 and appendix A.1; the predictor suits encoders of ViT-Tiny's size."""

    num_targets: Annotated[
        int, Field(ge=1, description="number of target blocks per image (M)")
    ] = 4
    predictor_dim: Annotated[
        int, Field(ge=32, multiple_of=32, description="width of the predictor, 32 per head")
    ] = 192
    predictor_depth: Annotated[
        int, Field(ge=1, description="number of transformer blocks of the predictor")
    ] = 3
    momentum: Annotated[
        float, Field(ge=0, le=1, description="initial momentum of the teacher, paper: 0.996")
    ] = 0.99


class IJEPA(Objective):
    """I-JEPA: a predictor infers the features of target blocks from those of a context block.

    https://arxiv.org/abs/2301.08243, section 3. The targets are features of a momentum encoder that
    sees the whole image; neither pixels nor negatives are involved.
    """

    paper = "https://arxiv.org/abs/2301.08243"
    Config = IJEPAConfig
    needs = frozenset({"pyramid", "tokens"})
    defaults: ClassVar[Mapping[str, Any]] = {  # a learning rate of 2e-3 leads to collapse
        "optimizer": {"lr": 5e-4, "weight_decay": 0.04, "weight_decay_end": 0.4}
    }

    def __init__(self, encoder: Encoder, config: IJEPAConfig) -> None:
        super().__init__(encoder, config)
        dim, *grid = encoder.pyramid_shapes(encoder.image_size)[-1]
        if min(grid) < 2:
            raise UsageError("I-JEPA needs two patches along a side. Give a larger --image-size.")
        self.grid = grid[0], grid[1]
        self.teacher = Teacher(encoder)
        width = config.predictor_dim
        self.embed = nn.Linear(dim, width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        self.predictor = transformer_decoder(width, config.predictor_depth, dim)

    @classmethod
    def views(cls, config: IJEPAConfig, size: int) -> tuple[View, ...]:
        """One weakly augmented crop."""
        return (View(size, scale=(0.3, 1.0), policy="weak"),)

    def predict(self, x: Tensor, keep: Tensor, targets: Tensor) -> Tensor:
        """Predicts the features (B T, m, D) of target patches (B, T, m) from patches (B, M)."""
        width = self.config.predictor_dim
        embeddings = build_sincos2d_pos_embed([*self.grid], width, device=x.device).to(x)
        positions = pad(embeddings[keep], (0, 0, self.encoder.num_prefix_tokens, 0))
        context = self.embed(self.encoder.forward_tokens(x, keep)) + positions
        queries = self.mask_token + embeddings[targets]  # (B, T, m, width)
        context = context[:, None].expand(-1, targets.shape[1], -1, -1)
        tokens = torch.cat([context, queries], dim=2).flatten(0, 1)
        return cast(Tensor, self.predictor(tokens)[:, context.shape[2] :])

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss; the targets' standard deviation falls to 0 in a collapse."""
        x = batch.views[0]
        keep, targets = random_blocks(x, self.grid, self.config.num_targets)
        with torch.no_grad():
            tokens = self.teacher.encoder.forward_tokens(x)
        features = tokens[:, self.encoder.num_prefix_tokens :]  # (B, N, D)
        target = features[torch.arange(len(x))[:, None, None], targets].flatten(0, 1)
        loss = prediction_loss(self.predict(x, keep, targets), target)
        return Output(loss, {"target_std": features.flatten(0, 1).float().std(dim=0).mean()})

    def after_step(self, step: int, steps: int) -> None:
        """Updates the teacher, with a momentum that rises linearly to 1, section 4."""
        initial = self.config.momentum
        momentum = initial + (1 - initial) * step / steps
        self.teacher.update(self.encoder, momentum=momentum)
