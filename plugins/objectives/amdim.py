"""Tells which places belong to the same image, from the whole of another view and from its places.

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
from torch.nn.functional import adaptive_avg_pool2d

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import all_gather, full_precision, mlp, rand_per_sample

FINE, COARSE = 7, 5  # cells per side of the paper's local features


@full_precision
def scores(f: Tensor, places: Tensor) -> Tensor:
    """Inner products over the square root of their length, as in the authors' `_model_scores`.

    Args:
        f: (B, D) features that predict.
        places: (B, N, D) features of the N places of each image.

    Returns:
        (B, B, N): of each row of f with each place.
    """
    return (places @ f.T).permute(2, 0, 1) / math.sqrt(f.shape[1])


@full_precision
def nce(scores: Tensor, clip: float) -> Tensor:
    """Noise-contrastive estimation, eq. 2; negatives are all places of all other images.

    Args:
        scores: (B, B, N); row i belongs with the places of image i.
        clip: c; scores are softly clipped to c tanh(score / c).

    Returns:
        Scalar mean over images and places.
    """
    s = clip * torch.tanh(scores / clip)
    own = torch.eye(len(s), dtype=torch.bool, device=s.device)
    negative = s.masked_fill(own[..., None], -math.inf).flatten(1).logsumexp(dim=1, keepdim=True)
    positive = s.diagonal().T  # (B, N)
    return (torch.logaddexp(positive, negative) - positive).mean()


def two_levels(shapes: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Chooses the levels for 7 x 7 and for 5 x 5 places: the nearest in size that differ.

    Args:
        shapes: (D, h, w) of each level, finest first.

    Returns:
        Numbers of the finer and the coarser; of equals the deepest, the same where only one is.
    """
    sides = [math.sqrt(h * w) for _, h, w in shapes]
    pairs = list(combinations(range(len(shapes)), 2)) or [(0, 0)]
    return min(pairs, key=lambda p: (abs(sides[p[0]] - FINE) + abs(sides[p[1]] - COARSE), -sum(p)))


class AMDIMConfig(Config):
    """Defaults of the authors' code; widths for encoders of ResNet-18's size (theirs 1024)."""

    hidden: Annotated[int, Field(ge=1, description="width inside the embeddings phi")] = 512
    out: Annotated[int, Field(ge=1, description="width of the embeddings phi")] = 256
    clip: Annotated[float, Field(gt=0, description="c of the soft clipping of scores")] = 20.0
    penalty: Annotated[float, Field(ge=0, description="weight of the mean squared score")] = 0.04


class AMDIM(Objective):
    """The terms 1 to 5, 1 to 7 and 5 to 5 of the paper, on the levels of any encoder.

    Its own network keeps places local with little padding; timm's see further. The embeddings are
    perceptrons with a final batch normalization; levels of more than 7 x 7 places are pooled to
    that, which bounds the memory.
    """

    paper = "https://arxiv.org/abs/1906.00910"
    Config = AMDIMConfig
    needs = frozenset({"pyramid"})

    def __init__(self, encoder: Encoder, config: AMDIMConfig) -> None:
        super().__init__(encoder, config)
        shapes = encoder.pyramid_shapes(encoder.image_size)
        self.chosen = two_levels(shapes)
        fine, coarse = (shapes[i][0] for i in self.chosen)
        self.embed_global = self._embedding(encoder.num_features)
        self.embed_fine, self.embed_coarse = self._embedding(fine), self._embedding(coarse)

    def _embedding(self, width: int) -> nn.Module:
        return mlp(width, self.config.hidden, self.config.out, last_norm=True)

    @classmethod
    def views(cls, config: AMDIMConfig, size: int) -> tuple[View, ...]:
        """Two views of the same kind."""
        return (View(size, scale=(0.3, 1.0)),) * 2

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        embeddings: Tensor = self.embed_global(features)
        return embeddings

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """The three terms, each the mean of both directions, and the penalty of large scores."""
        pooled, levels = self.encoder.forward_features(torch.cat(batch.views))
        fine, coarse = (levels[i] for i in self.chosen)
        f1 = self.project(pooled).chunk(2)
        f7 = _places(fine, self.embed_fine).chunk(2)
        f5 = _places(coarse, self.embed_coarse).chunk(2)
        drawn = rand_per_sample(len(batch), 2, like=batch.views[0]) * f5[0].shape[1]
        rows = torch.arange(len(batch), device=drawn.device)
        own = [f5[v][rows, drawn[:, v].long()] for v in (0, 1)]  # one place of each image
        terms = {"1_to_5": (f1, f5), "1_to_7": (f1, f7), "5_to_5": (own, f5)}
        losses, penalty = {}, pooled.new_zeros((), dtype=f1[0].dtype)
        for name, (source, target) in terms.items():
            both = [scores(all_gather(source[v]), all_gather(target[1 - v])) for v in (0, 1)]
            losses[name] = torch.stack([nce(s, self.config.clip) for s in both]).mean()
            penalty = penalty + self.config.penalty * torch.stack(both).square().mean()
        metrics = {f"nce_{name}": loss.detach() for name, loss in losses.items()}
        return Output(sum(losses.values(), penalty), metrics | {"penalty": penalty.detach()})


def _places(level: Tensor, embed: nn.Module) -> Tensor:
    """Embeds the places of a level (B, D, h, w): (B, N, out)."""
    h, w = level.shape[2:]
    level = adaptive_avg_pool2d(level, (min(h, FINE), min(w, FINE))).flatten(2).mT
    embedded: Tensor = embed(level.flatten(0, 1)).unflatten(0, level.shape[:2])
    return embedded
