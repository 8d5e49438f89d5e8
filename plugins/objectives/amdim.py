"""Mutual information between global and local features of two views, at several scales.

Learning Representations by Maximizing Mutual Information Across Views (AMDIM),
Bachman, Hjelm, Buchwalter, 2019. https://arxiv.org/abs/1906.00910
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import all_gather, full_precision, mlp, pooled_positions, rand_per_sample

FINE, COARSE = 7, 5  # sides of the feature maps that the paper compares


@full_precision
def scores(f: Tensor, local: Tensor) -> Tensor:
    """Computes scaled inner products, as `_model_scores` in the authors' code.

    Args:
        f: (B, D) features that predict.
        local: (B, N, D) local features of N positions of each image.

    Returns:
        (B, B, N) scores of each row of f with each position.
    """
    return (local @ f.T).permute(2, 0, 1) / math.sqrt(f.shape[1])


@full_precision
def nce(scores: Tensor, clip: float) -> Tensor:
    """Computes noise-contrastive estimation, eq. 2; negatives are all positions of other images.

    Args:
        scores: (B, B, N); the positives of row i are the positions of image i.
        clip: Scale of the soft clipping c tanh(score / c).

    Returns:
        Scalar mean over images and positions.
    """
    s = clip * torch.tanh(scores / clip)
    same = torch.eye(len(s), dtype=torch.bool, device=s.device)
    negative = s.masked_fill(same[..., None], -math.inf).flatten(1).logsumexp(dim=1, keepdim=True)
    positive = s.diagonal().T  # (B, N)
    return (torch.logaddexp(positive, negative) - positive).mean()


def two_levels(shapes: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Chooses two feature maps of a pyramid, the nearest in size to 7 x 7 and to 5 x 5 positions.

    Args:
        shapes: (D, h, w) of each feature map, the finest first.

    Returns:
        Indices of the finer and the coarser map; the deepest among equals, and the same index
        twice if there is only one map.
    """
    sides = [math.sqrt(h * w) for _, h, w in shapes]
    pairs = list(combinations(range(len(shapes)), 2)) or [(0, 0)]
    return min(pairs, key=lambda p: (abs(sides[p[0]] - FINE) + abs(sides[p[1]] - COARSE), -sum(p)))


class AMDIMConfig(Config):
    """Clip and penalty of the authors' code; dimensions for ResNet-18's size (theirs: 1024).

    costs.py of https://github.com/Philip-Bachman/amdim-public has a penalty of 0.04 in commit
    0333f6b; copies of other commits have 0.05. It is a mean over both directions, and a sum over
    the three terms.
    """

    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the embeddings")] = 512
    out_dim: Annotated[int, Field(ge=1, description="dimension of the embeddings")] = 256
    clip: Annotated[float, Field(gt=0, description="scale of the score clipping (c)")] = 20.0
    penalty: Annotated[float, Field(ge=0, description="weight of the mean squared score")] = 0.04


class AMDIM(Objective):
    """AMDIM: features of one view predict local features of the other view at several scales.

    https://arxiv.org/abs/1906.00910, eq. 2, with the terms 1 to 5, 1 to 7 and 5 to 5, on feature
    maps of any encoder (the paper has an encoder with small receptive fields). The embeddings are
    perceptrons with a final batch normalization. Larger maps are pooled to 7 x 7 positions, which
    bounds the memory.
    """

    paper = "https://arxiv.org/abs/1906.00910"
    Config = AMDIMConfig
    needs = frozenset({"pyramid"})

    def __init__(self, encoder: Encoder, config: AMDIMConfig) -> None:
        super().__init__(encoder, config)
        shapes = encoder.pyramid_shapes(encoder.image_size)
        self.chosen = two_levels(shapes)
        fine, coarse = (shapes[i][0] for i in self.chosen)
        self.projector = self._embedding(encoder.num_features)
        self.embed_fine, self.embed_coarse = self._embedding(fine), self._embedding(coarse)

    def _embedding(self, width: int) -> nn.Module:
        return mlp(width, self.config.hidden_dim, self.config.out_dim, last_norm=True)

    @classmethod
    def views(cls, config: AMDIMConfig, size: int) -> tuple[View, ...]:
        """Two views, with larger crops than the default."""
        return (View(size, scale=(0.3, 1.0)),) * 2

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the three terms in both directions, and the penalty of large scores."""
        pooled, pyramid = self.encoder.forward_features(torch.cat(batch.views))
        fine, coarse = (pyramid[i] for i in self.chosen)
        f1 = self.projector(pooled).chunk(2)
        f7 = _local(fine, self.embed_fine).chunk(2)
        f5 = _local(coarse, self.embed_coarse).chunk(2)
        drawn = rand_per_sample(len(batch), 2, like=batch.views[0]) * f5[0].shape[1]
        rows = torch.arange(len(batch), device=drawn.device)
        single = [f5[v][rows, drawn[:, v].long()] for v in (0, 1)]  # one position per image
        terms = {"1_to_5": (f1, f5), "1_to_7": (f1, f7), "5_to_5": (single, f5)}
        losses, penalty = {}, pooled.new_zeros((), dtype=f1[0].dtype)
        for name, (source, target) in terms.items():
            both = [scores(all_gather(source[v]), all_gather(target[1 - v])) for v in (0, 1)]
            losses[name] = torch.stack([nce(s, self.config.clip) for s in both]).mean()
            penalty = penalty + self.config.penalty * torch.stack(both).square().mean()
        metrics = {f"nce_{name}": loss.detach() for name, loss in losses.items()}
        return Output(sum(losses.values(), penalty), metrics | {"penalty": penalty.detach()})


def _local(feature_map: Tensor, embed: nn.Module) -> Tensor:
    """Embeds the positions of a feature map (B, D, h, w): (B, N, out_dim)."""
    local = pooled_positions(feature_map, FINE)
    embedded: Tensor = embed(local.flatten(0, 1)).unflatten(0, local.shape[:2])
    return embedded
