"""Pretext-invariant representations: an image and its jigsaw have similar features.

Self-Supervised Learning of Pretext-Invariant Representations,
Misra, van der Maaten, 2019. https://arxiv.org/abs/1912.01991
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from ... import Batch, Config, Encoder, Objective, Output, TrainingInfo, View
from ...nn import (
    all_gather,
    cut_tiles,
    full_precision,
    rand_per_sample,
    rand_shared,
    tile_size,
)


@full_precision
def nce(query: Tensor, key: Tensor, negatives: Tensor, same: Tensor, temperature: float) -> Tensor:
    """Computes noise contrastive estimation, eq. 3 and 4: -log h(key) - sum_negatives log(1 - h).

    h(m) = exp(s(q, m) / tau) / (exp(s(q, m) / tau) + sum over negatives of exp(s(q, m') / tau)).

    Args:
        query: (B, D) normalized embeddings.
        key: (B, D) normalized rows of the memory bank, of the same images.
        negatives: (N, D) normalized rows of the memory bank, of any images.
        same: (B, N), True where a negative is of the same image; it is ignored.
        temperature: Temperature of the softmax (tau).

    Returns:
        Scalar mean over the queries.
    """
    positive = (query * key).sum(dim=1) / temperature  # (B,)
    scores = (query @ negatives.T / temperature).masked_fill(same, -1e9)  # (B, N)
    noise = scores.logsumexp(dim=1)
    false = softplus(scores - noise[:, None]).masked_fill(same, 0).sum(dim=1)
    return (softplus(noise - positive) + false).mean()


class PIRLConfig(Config):
    """Defaults of section 3.3; the paper draws 32,000 negatives from a million images."""

    out_dim: Annotated[int, Field(ge=1, description="dimension of the embeddings")] = 128
    num_negatives: Annotated[
        int, Field(ge=1, description="number of negatives, at most one per image (N)")
    ] = 2048
    temperature: Annotated[float, Field(gt=0, description="softmax temperature tau")] = 0.07
    jigsaw_weight: Annotated[
        float, Field(ge=0, le=1, description="weight of the jigsaw's loss (lambda in eq. 5)")
    ] = 0.5
    momentum: Annotated[
        float, Field(ge=0, lt=1, description="momentum of the memory bank's moving average")
    ] = 0.5


class PIRL(Objective):
    """PIRL: features are invariant to the jigsaw permutation that `jigsaw` predicts.

    https://arxiv.org/abs/1912.01991, eq. 3 to 5. The embedding of an image and that of its shuffled
    tiles are both contrasted with a memory bank of embeddings of all images.
    """

    paper = "https://arxiv.org/abs/1912.01991"
    Config = PIRLConfig
    bank: Tensor

    def __init__(self, encoder: Encoder, config: PIRLConfig) -> None:
        super().__init__(encoder, config)
        self.tile = tile_size(encoder.image_size)
        self.projector = nn.Linear(encoder.num_features, config.out_dim)
        self.tile_head = nn.Linear(encoder.num_features, config.out_dim)
        self.puzzle_head = nn.Linear(9 * config.out_dim, config.out_dim)

    def prepare(self, training: TrainingInfo) -> None:
        """Allocates the memory bank, normalized rows (images, out_dim), random at the start."""
        rows = torch.randn(training.images, self.config.out_dim)
        self.register_buffer("bank", normalize(rows, dim=1))

    @classmethod
    def views(cls, config: PIRLConfig, size: int) -> tuple[View, ...]:
        """The image, and a view of 3 x 3 cells of 85 pixels for a tile of 64."""
        return (View(size), View(3 * round(tile_size(size) * 85 / 64), scale=(0.6, 1.0)))

    def project(self, features: Tensor) -> Tensor:
        """Maps features (B, D) to normalized embeddings (B, out_dim), f of the paper."""
        return normalize(self.projector(features), dim=1)

    def shuffled(self, x: Tensor) -> Tensor:
        """Maps images (B, C, S, S) to embeddings (B, out_dim) of their shuffled tiles (g)."""
        tiles = cut_tiles(x, self.tile, rand_per_sample(len(x), 9, 2, like=x))
        embedded = self.tile_head(self.encoder(tiles)).unflatten(0, (-1, 9))
        order = rand_per_sample(len(x), 9, like=x).argsort(dim=1)
        joined = embedded.take_along_dim(order[..., None], dim=1).flatten(1)
        return normalize(self.puzzle_head(joined), dim=1)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes eq. 5 and updates the memory bank."""
        whole, puzzle = batch.views
        f, g = self.project(self.encoder(whole)), self.shuffled(puzzle)
        images = len(self.bank)
        drawn = (rand_shared(min(self.config.num_negatives, images), like=whole) * images).long()
        key, negatives = self.bank[batch.indices], self.bank[drawn]
        same = batch.indices[:, None] == drawn
        against = key, negatives, same, self.config.temperature
        weight = self.config.jigsaw_weight
        loss = weight * nce(g, *against) + (1 - weight) * nce(f, *against)
        with torch.no_grad():
            nearest = (g.to(key.dtype) @ negatives.T).masked_fill(same, -1).amax(dim=1)
            correct = (g * key).sum(dim=1) > nearest
        self.remember(batch.indices, f)
        return Output(loss, {"pirl_accuracy": correct.float().mean()})

    @torch.no_grad()
    def remember(self, indices: Tensor, f: Tensor) -> None:
        """Moves rows (B,) of the memory bank, of all processes, towards embeddings (B, out_dim)."""
        indices, f = all_gather(indices), all_gather(f.to(self.bank.dtype))
        self.bank[indices] = normalize(self.bank[indices].lerp(f, 1 - self.config.momentum), dim=1)
