"""Projection and prediction heads, and the encoding of several views in one pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from .losses import cosine_scores


def mlp(*widths: int, bias: bool = True, last_norm: bool = False) -> nn.Sequential:
    """Builds linear layers with batch normalization and ReLU between them.

    Args:
        widths: Input dimension, hidden dimensions, output dimension.
        bias: Whether the last layer has a bias; hidden layers have none before their norm.
        last_norm: Whether batch normalization without scale and shift follows the last layer.
    """
    layers: list[nn.Module] = []
    for i, (width, out) in enumerate(itertools.pairwise(widths)):
        last = i == len(widths) - 2
        layers.append(nn.Linear(width, out, bias=bias and last and not last_norm))
        if not last:
            layers += [nn.BatchNorm1d(out), nn.ReLU(inplace=True)]
        elif last_norm:
            layers.append(nn.BatchNorm1d(out, affine=False))
    return nn.Sequential(*layers)


class DINOHead(nn.Module):
    """Projection head of DINO: a perceptron with GELU, then a weight-normalized linear layer.

    DINO (Caron et al. 2021, https://arxiv.org/abs/2104.14294), appendix C; no batch normalization.

    Args:
        in_dim: D, the number of features.
        hidden_dim: Hidden dimension of the perceptron.
        bottleneck_dim: Output dimension of the perceptron.
        out_dim: K, the number of prototypes.
    """

    def __init__(self, in_dim: int, hidden_dim: int, bottleneck_dim: int, out_dim: int) -> None:
        super().__init__()
        first, second = nn.Linear(in_dim, hidden_dim), nn.Linear(hidden_dim, hidden_dim)
        third = nn.Linear(hidden_dim, bottleneck_dim)
        for layer in (first, second, third):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        self.layers = nn.Sequential(first, nn.GELU(), second, nn.GELU(), third)
        self.last = nn.Parameter(normalize(torch.randn(out_dim, bottleneck_dim)))

    def forward(self, x: Tensor, free: Tensor) -> Tensor:
        """Maps features to logits, the cosine similarities with the prototypes.

        Args:
            x: (B, D) features.
            free: Scalar, 1 to train the last layer, 0 to make its gradient zero.

        Returns:
            (B, K) logits in [-1, 1].
        """
        return cosine_scores(self.layers(x), torch.lerp(self.last.detach(), self.last, free))


def encode_views(encode: Callable[[Tensor], Tensor], views: Sequence[Tensor]) -> list[Tensor]:
    """Encodes views of different sizes, with one pass for consecutive views of the same size.

    Args:
        encode: Maps images (n, C, H, W) to features (n, D).
        views: (B, C, H, W) each.

    Returns:
        One (B, D) per view.
    """
    encoded: list[Tensor] = []
    for _, same in itertools.groupby(views, key=lambda view: view.shape[-2:]):
        part = list(same)
        encoded += encode(torch.cat(part)).chunk(len(part))
    return encoded
