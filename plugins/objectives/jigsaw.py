"""Jigsaw puzzles: by which permutation were the tiles of an image shuffled?

Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles,
Noroozi, Favaro, 2016. https://arxiv.org/abs/1603.09246
"""

from __future__ import annotations

from functools import cache
from itertools import chain, permutations
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, instance_norm

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import accuracy, cut_tiles, full_precision, mlp, rand_per_sample, tile_size


@cache
def distant_permutations(n: int, count: int) -> NDArray[np.uint8]:
    """Chooses `count` of the n! permutations with large Hamming distances.

    Algorithm 1, but it adds the permutation with the largest minimum distance to the chosen ones,
    and among those the one with the largest sum of distances. The paper considers the sum only, by
    which some pairs differ in few positions.

    Returns:
        (count, n), the identity first.
    """
    numbers = np.fromiter(chain.from_iterable(permutations(range(n))), np.uint8)
    every = np.ascontiguousarray(numbers.reshape(-1, n).T)
    nearest, total = np.full(every.shape[1], n), np.zeros(every.shape[1], np.int64)
    chosen = [0]
    while len(chosen) < count:
        distance = (every != every[:, chosen[-1], None]).sum(axis=0, dtype=np.uint8)
        nearest = np.minimum(nearest, distance)
        total += distance
        chosen.append(int(np.argmax(nearest * (n * count) + total)))
    return every[:, chosen].T


@full_precision
def jigsaw_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Computes the cross entropy over the permutations.

    Args:
        logits: (B, K) scores of the permutations.
        labels: (B,) index of the permutation of each image.
    """
    return cross_entropy(logits, labels)


class JigsawConfig(Config):
    """Defaults of sections 3 and 4; the head's dimension suits encoders of ResNet-18's size."""

    num_permutations: Annotated[
        int, Field(ge=2, le=1000, description="number of permutations, best in the paper: 1000 (K)")
    ] = 100
    gray: Annotated[
        float, Field(ge=0, le=1, description="share of images that are converted to grayscale")
    ] = 0.3
    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the head")] = 1024


class Jigsaw(Objective):
    """Jigsaw: a head recognizes the permutation of 3 x 3 tiles from their features.

    https://arxiv.org/abs/1603.09246, sections 3 and 4. Tiles are normalized separately, so that
    their mean and contrast do not reveal neighbors. The features of a tile do not depend on its
    position, so that features are permuted instead of tiles.
    """

    paper = "https://arxiv.org/abs/1603.09246"
    Config = JigsawConfig
    example: ClassVar = {"num_permutations": 4}
    orders: Tensor

    def __init__(self, encoder: Encoder, config: JigsawConfig) -> None:
        super().__init__(encoder, config)
        self.tile = tile_size(encoder.image_size)
        self.head = mlp(9 * encoder.num_features, config.hidden_dim, config.num_permutations)
        permutations = distant_permutations(9, config.num_permutations)
        self.register_buffer("orders", torch.from_numpy(permutations).long())

    @classmethod
    def views(cls, config: JigsawConfig, size: int) -> tuple[View, ...]:
        """One upright view of 3 x 3 cells, of 75 pixels for a tile of 64."""
        return (View(3 * round(tile_size(size) * 75 / 64), scale=(0.5, 1.0), policy="upright"),)

    def shuffle(self, features: Tensor, labels: Tensor) -> Tensor:
        """Permutes the features (B, 9, D) of each image by its permutation (B,)."""
        return features.take_along_dim(self.orders[labels][..., None], dim=1)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss of one random permutation per image."""
        x, b = batch.views[0], len(batch.views[0])
        gray = rand_per_sample(b, 1, 1, 1, like=x) < self.config.gray
        x = torch.where(gray, x.mean(dim=1, keepdim=True), x)
        tiles = instance_norm(cut_tiles(x, self.tile, rand_per_sample(b, 9, 2, like=x)))
        features = self.encoder(tiles).unflatten(0, (b, 9))
        labels = (rand_per_sample(b, like=x) * len(self.orders)).long()
        logits = self.head(self.shuffle(features, labels).flatten(1))
        return Output(jigsaw_loss(logits, labels), {"jigsaw_accuracy": accuracy(logits, labels)})
