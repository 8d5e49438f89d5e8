"""Pieces that several objectives share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def mlp(*widths: int, bias: bool = True, last_norm: bool = False) -> nn.Sequential:
    """Builds linear layers with batch normalization and ReLU between them.

    Args:
        widths: Input width, hidden widths, output width.
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


def encode_views(encode: Callable[[Tensor], Tensor], views: Sequence[Tensor]) -> list[Tensor]:
    """Encodes views of different sizes: one pass for each run of views of the same size.

    Args:
        encode: Maps (n, C, H, W) to (n, D).
        views: (B, C, H, W) each.

    Returns:
        One (B, D) per view.
    """
    encoded: list[Tensor] = []
    for _, same in itertools.groupby(views, key=lambda view: view.shape[-2:]):
        part = list(same)
        encoded += encode(torch.cat(part)).chunk(len(part))
    return encoded
