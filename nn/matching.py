"""Matching of local features between two views of an image, by similarity or by position."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from .losses import full_precision


def pooled_positions(feature_map: Tensor, side: int) -> Tensor:
    """Pools a map (B, D, h, w) to at most side x side positions: (B, N, D), in row-major order."""
    h, w = feature_map.shape[2:]
    pooled = adaptive_avg_pool2d(feature_map, (min(h, side), min(w, side)))
    return pooled.flatten(2).mT


@full_precision
def most_similar(f1: Tensor, f2: Tensor) -> Tensor:
    """Finds for each position the most similar one of the other view, by cosine similarity.

    DenseCL (Wang et al. 2020, https://arxiv.org/abs/2011.09157), eq. 4.

    Args:
        f1: (B, N, D) local features of one view.
        f2: (B, M, D) local features of the other view.

    Returns:
        (B, N) indices below M.
    """
    return (normalize(f1, dim=2) @ normalize(f2, dim=2).mT).argmax(dim=2)


def take(features: Tensor, indices: Tensor) -> Tensor:
    """Selects local features (B, N, D) from (B, M, D) by indices (B, N)."""
    return features.gather(1, indices[..., None].expand(-1, -1, features.shape[2]))


@full_precision
def position_centers(frame: Tensor, grid: tuple[int, int], pixels: tuple[int, int]) -> Tensor:
    """Computes where in the image the centers of a feature map's positions lie.

    Args:
        frame: (B, 2, 3) affine map of the view, see `Batch.frames`.
        grid: h, w of the feature map.
        pixels: H, W of the view.

    Returns:
        (B, h w, 2) coordinates x, y as shares of the image's width and height, row-major.
    """
    (h, w), (height, width) = grid, pixels
    y = (torch.arange(h, device=frame.device, dtype=frame.dtype) + 0.5) * (height / h)
    x = (torch.arange(w, device=frame.device, dtype=frame.dtype) + 0.5) * (width / w)
    points = torch.cartesian_prod(y, x).flip(1)  # (h w, 2)
    return points @ frame[:, :, :2].mT + frame[:, None, :, 2]


@torch.no_grad()
@full_precision
def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances (B, N, M) between points (B, N, D) and (B, M, D)."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def nearest_pairs(x: Tensor, y: Tensor, distance: Tensor, kept: int) -> tuple[Tensor, Tensor]:
    """Pairs each vector with its nearest one and keeps the pairs of least distance.

    VICRegL (Bardes et al. 2022, https://arxiv.org/abs/2210.01571), eq. 2 and 3.

    Args:
        x: (B, N, D) local features of one view.
        y: (B, M, D) local features of the other view.
        distance: (B, N, M) between them, in the image or in feature space.
        kept: Number of pairs per image (gamma).

    Returns:
        (B, gamma, D) of x, in the order of x, and (B, gamma, D) of y.
    """
    nearest, index = distance.min(dim=2)
    chosen = nearest.argsort(dim=1, stable=True)[:, :kept].sort(dim=1).values
    return take(x, chosen), take(y, index.gather(1, chosen))
