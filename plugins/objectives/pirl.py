"""An image and its shuffled tiles share features, against a memory of other images.

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
from ...nn import all_gather, full_precision, rand_per_sample, rand_shared
from .jigsaw import cut_tiles, tile_size


@full_precision
def nce(query: Tensor, own: Tensor, negatives: Tensor, same: Tensor, temperature: float) -> Tensor:
    """Noise contrastive estimation, eq. 3 and 4: -log h(own) - sum over negatives of log(1 - h).

    h(m) = exp(s(q, m) / tau) / (exp(s(q, m) / tau) + sum over negatives of exp(s(q, m') / tau)).

    Args:
        query: (B, D) of unit length.
        own: (B, D) memories of the same images, of unit length.
        negatives: (N, D) memories of any images, of unit length.
        same: (B, N), True where a negative is of the same image; it does not count.
        temperature: tau.

    Returns:
        Scalar mean over the queries.
    """
    positive = (query * own).sum(dim=1) / temperature  # (B,)
    scores = (query @ negatives.T / temperature).masked_fill(same, -1e9)  # (B, N)
    noise = scores.logsumexp(dim=1)
    false = softplus(scores - noise[:, None]).masked_fill(same, 0).sum(dim=1)
    return (softplus(noise - positive) + false).mean()


class PIRLConfig(Config):
    """Defaults of section 3.3; the paper draws 32,000 negatives from a million images."""

    out: Annotated[int, Field(ge=1, description="width of the embeddings")] = 128
    negatives: Annotated[
        int, Field(ge=1, description="N, memories to contrast with; at most one per image")
    ] = 2048
    temperature: Annotated[float, Field(gt=0, description="tau of eq. 3")] = 0.07
    weight: Annotated[
        float, Field(ge=0, le=1, description="lambda of eq. 5, of the shuffled tiles")
    ] = 0.5
    momentum: Annotated[float, Field(ge=0, lt=1, description="of the memories")] = 0.5


class PIRL(Objective):
    """Features that do not tell how tiles lay: a jigsaw puzzle the other way round."""

    paper = "https://arxiv.org/abs/1912.01991"
    Config = PIRLConfig
    bank: Tensor

    def __init__(self, encoder: Encoder, config: PIRLConfig) -> None:
        super().__init__(encoder, config)
        self.tile = tile_size(encoder.image_size)
        self.whole_head = nn.Linear(encoder.num_features, config.out)
        self.tile_head = nn.Linear(encoder.num_features, config.out)
        self.puzzle_head = nn.Linear(9 * config.out, config.out)

    def prepare(self, training: TrainingInfo) -> None:
        """Makes the memory bank, (images, out) of unit length, random at the start."""
        rows = torch.randn(training.images, self.config.out)
        self.register_buffer("bank", normalize(rows, dim=1))

    @classmethod
    def views(cls, config: PIRLConfig, size: int) -> tuple[View, ...]:
        """The image, and 3x3 cells of 85 pixels for a tile of 64."""
        return (View(size), View(3 * round(tile_size(size) * 85 / 64), scale=(0.6, 1.0)))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out), f of the paper."""
        return normalize(self.whole_head(features), dim=1)

    def shuffled(self, x: Tensor) -> Tensor:
        """Maps images (B, C, S, S) to embeddings (B, out) of their shuffled tiles, g."""
        tiles = cut_tiles(x, self.tile, rand_per_sample(len(x), 9, 2, like=x))
        embedded = self.tile_head(self.encoder(tiles)).unflatten(0, (-1, 9))
        order = rand_per_sample(len(x), 9, like=x).argsort(dim=1)
        joined = embedded.take_along_dim(order[..., None], dim=1).flatten(1)
        return normalize(self.puzzle_head(joined), dim=1)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Both embeddings against the memory of the image, eq. 5; then the memory moves."""
        whole, puzzle = batch.views
        f, g = self.project(self.encoder(whole)), self.shuffled(puzzle)
        images = len(self.bank)
        drawn = (rand_shared(min(self.config.negatives, images), like=whole) * images).long()
        own, negatives = self.bank[batch.indices], self.bank[drawn]
        same = batch.indices[:, None] == drawn
        against = own, negatives, same, self.config.temperature
        weight = self.config.weight
        loss = weight * nce(g, *against) + (1 - weight) * nce(f, *against)
        with torch.no_grad():
            others = (g.to(own.dtype) @ negatives.T).masked_fill(same, -1).amax(dim=1)
            near = (g * own).sum(dim=1) > others
        self.remember(batch.indices, f)
        return Output(loss, {"pirl_accuracy": near.float().mean()})

    @torch.no_grad()
    def remember(self, indices: Tensor, f: Tensor) -> None:
        """Moves the memories of images (B,) of all processes towards embeddings (B, out)."""
        indices, f = all_gather(indices), all_gather(f.to(self.bank.dtype))
        self.bank[indices] = normalize(self.bank[indices].lerp(f, 1 - self.config.momentum), dim=1)
