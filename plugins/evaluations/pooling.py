"""Small networks that classify bags of feature vectors.

Bags are concatenated without padding, so the prediction of a bag does not depend on other bags.
Hidden layers have no bias: all networks but gated attention are then homogeneous in the tiles, and
the gradient times input of all tiles adds up to the logit without its bias (Euler's theorem).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import relu


class Bag(NamedTuple):
    """The tiles of one bag.

    Attributes:
        tiles: (n, D) features.
        edges: (2, e) indices of neighboring tiles, each pair in both directions; e may be 0.
    """

    tiles: Tensor
    edges: Tensor


class Joined(NamedTuple):
    """Several concatenated bags.

    Attributes:
        tiles: (N, D) features.
        edges: (2, E) indices of neighboring tiles.
        bag: (N,) number of the bag of each tile, from 0.
        bags: Number of bags (B).
    """

    tiles: Tensor
    edges: Tensor
    bag: Tensor
    bags: int


def join(bags: Sequence[Bag]) -> Joined:
    """Concatenates bags."""
    sizes = torch.tensor([len(bag.tiles) for bag in bags])
    starts = sizes.cumsum(0) - sizes
    edges = [bag.edges + start for bag, start in zip(bags, starts, strict=True)]
    number = torch.arange(len(bags)).repeat_interleave(sizes)
    return Joined(torch.cat([bag.tiles for bag in bags]), torch.cat(edges, 1), number, len(bags))


def sum_within(values: Tensor, bag: Tensor, bags: int) -> Tensor:
    """Returns the sum over the rows of each bag: (N, ...) to (B, ...)."""
    return values.new_zeros(bags, *values.shape[1:]).index_add(0, bag, values)


def max_within(values: Tensor, bag: Tensor, bags: int) -> Tensor:
    """Returns the maximum over the rows of each bag: (N, D) to (B, D)."""
    rows = bag[:, None].expand_as(values)
    empty = values.new_zeros(bags, values.shape[1])
    return empty.scatter_reduce(0, rows, values, "amax", include_self=False)


def softmax_within(scores: Tensor, bag: Tensor, bags: int) -> Tensor:
    """Returns the softmax of scores (N, 1) over the rows of each bag."""
    raised = (scores - max_within(scores.detach(), bag, bags)[bag]).exp()
    return raised / sum_within(raised, bag, bags)[bag]


def propagate(values: Tensor, edges: Tensor) -> Tensor:
    """Averages each tile with its neighbors: D^-1/2 (A + I) D^-1/2 H.

    Semi-Supervised Classification with Graph Convolutional Networks (Kipf, Welling 2017,
    https://arxiv.org/abs/1609.02907), eq. 2, without weights. The degree D counts the tile itself.

    Args:
        values: (N, D), the features H.
        edges: (2, E), the indices of the ones in the adjacency matrix A.
    """
    tiles, neighbors = edges
    scale = (1 + tiles.bincount(minlength=len(values))).to(values).rsqrt()[:, None]
    scaled = values * scale
    averaged: Tensor = scale * scaled.index_add(0, tiles, scaled[neighbors])
    return averaged


class Pooling(nn.Module, ABC):
    """Embeds tiles, pools them, and classifies the bags.

    Args:
        known: (N, D) training features, whose mean and standard deviation standardize all tiles.
        classes: Number of classes (K).
        hidden: Number of features that are pooled.

    Attributes:
        measure: What the saliency is, in words.
    """

    vectors = 1  # number of pooled vectors of a bag
    measure = "contribution to {label}"
    mean: Tensor
    std: Tensor

    def __init__(self, known: Tensor, classes: int, hidden: int) -> None:
        super().__init__()
        std = known.std(dim=0, correction=0)
        self.register_buffer("mean", known.mean(dim=0))
        self.register_buffer("std", std.where(std > 1e-6, torch.ones(())))
        self.embed = nn.Linear(known.shape[1], hidden, bias=False)
        self.head = nn.Linear(self.vectors * hidden, classes)

    def forward(self, bags: Joined) -> Tensor:
        """Returns logits (B, K)."""
        return self._logits(self._standardized(bags))

    def saliency(self, bags: Joined, classes: Tensor) -> Tensor:
        """Returns the contribution (N,) of each tile to the logit of a class of its bag.

        It is gradient times input: the tiles of a bag add up to its logit without the bias.

        Args:
            bags: B bags.
            classes: (B,) class numbers.
        """
        standardized = self._standardized(bags)
        tiles = standardized.tiles.requires_grad_()
        logits = self._logits(standardized).gather(1, classes[:, None])
        (gradient,) = torch.autograd.grad(logits.sum(), tiles)
        return (gradient * tiles.detach()).sum(dim=1)

    def embedded(self, bags: Joined) -> Tensor:
        """Returns embedded tiles (N, hidden), before pooling."""
        return relu(self.embed(bags.tiles))

    @abstractmethod
    def pool(self, tiles: Tensor, bag: Tensor, bags: int) -> Tensor:
        """Maps embedded tiles (N, hidden) to bags (B, vectors * hidden)."""

    def _standardized(self, bags: Joined) -> Joined:
        return bags._replace(tiles=(bags.tiles - self.mean) / self.std)

    def _logits(self, bags: Joined) -> Tensor:
        logits: Tensor = self.head(self.pool(self.embedded(bags), bags.bag, bags.bags))
        return logits


class Mean(Pooling):
    """Mean pooling."""

    def pool(self, tiles: Tensor, bag: Tensor, bags: int) -> Tensor:
        """Returns the means over tiles."""
        return sum_within(tiles, bag, bags) / bag.bincount(minlength=bags)[:, None]


class Max(Pooling):
    """Max pooling."""

    def pool(self, tiles: Tensor, bag: Tensor, bags: int) -> Tensor:
        """Returns the maxima over tiles."""
        return max_within(tiles, bag, bags)


class GatedAttention(Pooling):
    """Gated attention pooling: a mean with learned weights.

    Attention-based Deep Multiple Instance Learning (Ilse, Tomczak, Welling 2018,
    https://arxiv.org/abs/1802.04712), eq. 7 and 9.
    """

    measure = "attention weight"

    def __init__(self, known: Tensor, classes: int, hidden: int) -> None:
        super().__init__(known, classes, hidden)
        self.v, self.u = (nn.Linear(hidden, hidden, bias=False) for _ in range(2))
        self.w = nn.Linear(hidden, 1, bias=False)

    def weights(self, tiles: Tensor, bag: Tensor, bags: int) -> Tensor:
        """Returns the attention weights (N, 1) of embedded tiles."""
        return softmax_within(self.w(self.v(tiles).tanh() * self.u(tiles).sigmoid()), bag, bags)

    def pool(self, tiles: Tensor, bag: Tensor, bags: int) -> Tensor:
        """Returns the weighted means over tiles."""
        return sum_within(self.weights(tiles, bag, bags) * tiles, bag, bags)

    def saliency(self, bags: Joined, classes: Tensor) -> Tensor:
        """Returns the attention weights (N,), which do not depend on the class."""
        with torch.no_grad():
            tiles = self.embedded(self._standardized(bags))
            return self.weights(tiles, bags.bag, bags.bags).squeeze(1)


class Graph(Pooling):
    """Two graph convolutions, then the concatenation of mean and max pooling.

    Kipf, Welling 2017, https://arxiv.org/abs/1609.02907, eq. 2.
    """

    vectors = 2

    def __init__(self, known: Tensor, classes: int, hidden: int) -> None:
        super().__init__(known, classes, hidden)
        self.second = nn.Linear(hidden, hidden, bias=False)

    def embedded(self, bags: Joined) -> Tensor:
        """Returns embedded tiles (N, hidden), mixed with neighbors up to two steps away."""
        first = relu(propagate(self.embed(bags.tiles), bags.edges))
        return relu(propagate(self.second(first), bags.edges))

    def pool(self, tiles: Tensor, bag: Tensor, bags: int) -> Tensor:
        """Returns the means and maxima over tiles."""
        means = sum_within(tiles, bag, bags) / bag.bincount(minlength=bags)[:, None]
        return torch.cat([means, max_within(tiles, bag, bags)], dim=1)


POOLINGS: dict[str, type[Pooling]] = {
    "mean": Mean,
    "max": Max,
    "attention": GatedAttention,
    "graph": Graph,
}
