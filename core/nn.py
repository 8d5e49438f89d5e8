"""Pieces that several objectives share."""

from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import normalize

from .parallel import gather, rank, world_size

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=nn.Module)


def mlp(*widths: int, bias: bool = True, last_norm: bool = False) -> nn.Sequential:
    """Builds linear layers with batch normalisation and ReLU between them.

    Args:
        widths: Input width, hidden widths, output width.
        bias: Whether the last layer has a bias; hidden layers have none before their norm.
        last_norm: Whether batch normalisation without scale and shift follows the last layer.
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


def full_precision(loss: Callable[P, R]) -> Callable[P, R]:
    """Makes a loss function compute in float32 or wider, also under mixed precision.

    Tensors in bfloat16 or float16 are widened; autocast is off inside.
    """

    @functools.wraps(loss)
    def wide(*args: P.args, **kwargs: P.kwargs) -> R:
        given = (*args, *kwargs.values())
        device = next((a.device.type for a in given if isinstance(a, Tensor)), "cpu")
        named = {name: _widen(value) for name, value in kwargs.items()}
        with torch.autocast(device, enabled=False):
            return loss(*map(_widen, args), **named)  # type: ignore[arg-type]

    return wide


def _widen(value: object) -> object:
    half = isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if half else value  # type: ignore[attr-defined]


def off_diagonal(matrix: Tensor) -> Tensor:
    """Returns the elements (D (D - 1),) of a square matrix that are not on its diagonal."""
    n = len(matrix)
    return matrix.flatten()[:-1].view(n - 1, n + 1)[:, 1:].flatten()


def frozen_copy(module: M) -> M:
    """Returns a copy of a module that takes no gradient: a teacher."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def ema_(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Moves a teacher towards its student: t = m t + (1 - m) s; buffers are copied."""
    pairs = list(zip(teacher.parameters(), student.parameters(), strict=True))
    torch._foreach_lerp_([t for t, _ in pairs], [s for _, s in pairs], 1 - momentum)
    for t, s in zip(teacher.buffers(), student.buffers(), strict=True):
        t.copy_(s)


def cosine_momentum(step: int, steps: int, base: float) -> float:
    """Teacher momentum that rises from `base` to 1: 1 - (1 - base) (cos(pi k / K) + 1) / 2.

    BYOL (Grill et al. 2020, https://arxiv.org/abs/2006.07733), section 3.2.
    """
    return 1 - (1 - base) * (math.cos(math.pi * step / steps) + 1) / 2


class Queue(nn.Module):
    """The newest rows of unit length that were pushed, newest first; random ones at the start.

    Args:
        length: Rows that are kept.
        width: D.
    """

    rows: Tensor
    pushed: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows", normalize(torch.randn(length, width), dim=1))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.long))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def full(self) -> bool:
        """Whether all random rows are gone."""
        return int(self.pushed) >= len(self)

    def forward(self) -> Tensor:
        """Returns a copy (length, D): a later push leaves what a loss has used alone."""
        return self.rows.clone()

    @torch.no_grad()
    def push(self, new: Tensor) -> None:
        """Puts (B, D) of every process in front; the oldest rows fall off."""
        new = gather(new.detach().to(self.rows.dtype))
        self.rows.copy_(torch.cat([new, self.rows])[: len(self)])
        self.pushed.add_(len(new))


@torch.no_grad()
def kmeans(x: Tensor, clusters: int, seed: int = 0) -> Tensor:
    """Clusters rows (n, D) by k-means and returns the centres (clusters, D).

    Every process must pass the same rows; the main process's centres count. With fewer rows than
    clusters, the rows are repeated with a little noise.
    """
    from sklearn.cluster import KMeans

    centres = torch.empty(clusters, x.shape[1], dtype=torch.float64)
    if rank() == 0:
        rows = x.detach().double().cpu().numpy()
        if len(rows) < clusters:
            noise = np.random.default_rng(seed).normal(size=(clusters, rows.shape[1]))
            rows = np.resize(rows, noise.shape) + 1e-3 * (rows.std() + 1e-6) * noise
        found = KMeans(clusters, n_init=1, max_iter=50, random_state=seed).fit(rows)
        centres = torch.from_numpy(found.cluster_centers_)
    centres = centres.to(x.device, x.dtype)
    if world_size() > 1:
        dist.broadcast(centres, src=0)
    return centres


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
