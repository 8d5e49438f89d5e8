"""Tells how the tiles of an image were shuffled.

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

from ... import Batch, Config, Encoder, Objective, Output, UsageError, View
from ...nn import full_precision, mlp, rand_per_sample


def tile_size(size: int) -> int:
    """Returns the pixels of a tile: half an image's, to the nearest 16 as transformers ask."""
    return max(16, round(size / 32) * 16)


def cut_tiles(x: Tensor, tile: int, place: Tensor) -> Tensor:
    """Cuts one tile out of each of the 3x3 cells of an image.

    Args:
        x: (B, C, S, S).
        tile: Pixels of a tile, at most those of a cell, S // 3.
        place: (B, 9, 2) down and right, where in its cell a tile lies: from 0 to just below 1.

    Returns:
        (9B, C, tile, tile), the nine tiles of an image together, row by row.

    Raises:
        UsageError: If the images are not square.
    """
    b, _, height, width = x.shape
    if height != width:
        raise UsageError(
            f"A grid of tiles needs square images, not {height} x {width} pixels; "
            "choose an objective without tiles, such as simclr."
        )
    cell = width // 3
    corner = torch.cartesian_prod(*[torch.arange(3, device=x.device) * cell] * 2)  # (9, 2)
    corner = corner + (place * (cell - tile + 1)).long()
    pixels = corner[..., None] + torch.arange(tile, device=x.device)  # (B, 9, 2, tile)
    rows, columns = pixels[:, :, 0, :, None], pixels[:, :, 1, None, :]
    image = torch.arange(b, device=x.device).view(-1, 1, 1, 1)
    return x[image, :, rows, columns].permute(0, 1, 4, 2, 3).flatten(0, 1)


@cache
def distant_permutations(n: int, count: int) -> NDArray[np.uint8]:
    """Chooses `count` of the n! permutations, far from one another in Hamming distance.

    Algorithm 1, but the next one is that farthest from its nearest, then from all, then the first
    in order. The paper looks at all only, which lets some pairs differ in few places.

    Returns:
        (count, n), the unshuffled first.
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
def jigsaw_loss(logits: Tensor, answers: Tensor) -> Tensor:
    """Cross entropy over the permutations.

    Args:
        logits: (B, K).
        answers: (B,), number of the permutation of each image.
    """
    return cross_entropy(logits, answers)


class JigsawConfig(Config):
    """Defaults of sections 3 and 4; the head's width suits encoders of ResNet-18's size."""

    permutations: Annotated[
        int, Field(ge=2, le=1000, description="K, orders to tell apart; the paper's best is 1000")
    ] = 100
    gray: Annotated[float, Field(ge=0, le=1, description="share of images shown without color")] = (
        0.3
    )
    hidden: Annotated[int, Field(ge=1, description="width inside the head")] = 1024


class Jigsaw(Objective):
    """Jigsaw puzzles of 3x3 tiles, each normalized separately so that only content tells.

    Features of a tile do not depend on its place, so they are shuffled instead of the tiles.
    """

    paper = "https://arxiv.org/abs/1603.09246"
    Config = JigsawConfig
    example: ClassVar = {"permutations": 4}
    orders: Tensor

    def __init__(self, encoder: Encoder, config: JigsawConfig) -> None:
        super().__init__(encoder, config)
        self.tile = tile_size(encoder.image_size)
        self.head = mlp(9 * encoder.num_features, config.hidden, config.permutations)
        chosen = distant_permutations(9, config.permutations)
        self.register_buffer("orders", torch.from_numpy(chosen).long())

    @classmethod
    def views(cls, config: JigsawConfig, size: int) -> tuple[View, ...]:
        """One view of 3x3 cells, 75 pixels for a tile of 64."""
        return (View(3 * round(tile_size(size) * 75 / 64), scale=(0.5, 1.0), policy="upright"),)

    def shuffle(self, features: Tensor, answers: Tensor) -> Tensor:
        """Puts the features (B, 9, D) of each image into the order with the number (B,)."""
        return features.take_along_dim(self.orders[answers][..., None], dim=1)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Shuffles each image once and asks for the order."""
        x, b = batch.views[0], len(batch.views[0])
        gray = rand_per_sample(b, 1, 1, 1, like=x) < self.config.gray
        x = torch.where(gray, x.mean(dim=1, keepdim=True), x)
        tiles = instance_norm(cut_tiles(x, self.tile, rand_per_sample(b, 9, 2, like=x)))
        features = self.encoder(tiles).unflatten(0, (b, 9))
        answers = (rand_per_sample(b, like=x) * len(self.orders)).long()
        logits = self.head(self.shuffle(features, answers).flatten(1))
        accuracy = (logits.argmax(dim=1) == answers).float().mean()
        return Output(jigsaw_loss(logits, answers), {"jigsaw_accuracy": accuracy.detach()})
