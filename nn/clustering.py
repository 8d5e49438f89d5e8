"""Clustering of features across processes: k-means, and assignment by optimal transport."""

from __future__ import annotations

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import log_softmax, normalize

from .distributed import rank, world_size
from .losses import full_precision

_ROWS_PER_CENTER = 64  # more rows hardly change the centers of k-means


@torch.no_grad()
def kmeans(x: Tensor, clusters: int, seed: int = 0) -> Tensor:
    """Clusters features (n, D) by k-means and returns the centers (clusters, D).

    Every process must pass the same features; the centers are those of the main process. With
    fewer features than clusters, the features are repeated with a little noise.
    """
    from sklearn.cluster import KMeans

    centers = torch.empty(clusters, x.shape[1], dtype=torch.float64)
    if rank() == 0:
        rows = x.detach().double().cpu().numpy()
        if len(rows) < clusters:
            noise = np.random.default_rng(seed).normal(size=(clusters, rows.shape[1]))
            rows = np.resize(rows, noise.shape) + 1e-3 * (rows.std() + 1e-6) * noise
        result = KMeans(clusters, n_init=1, max_iter=50, random_state=seed).fit(rows)
        centers = torch.from_numpy(result.cluster_centers_)
    centers = centers.to(x.device, x.dtype)
    if world_size() > 1:
        dist.broadcast(centers, src=0)
    return centers


def spherical_kmeans(x: Tensor, clusters: int) -> tuple[Tensor, Tensor]:
    """Clusters L2-normalized features (n, D) by cosine similarity.

    Returns:
        Normalized centers (clusters, D), and the index of the nearest center of each row (n,).
    """
    subset = x[:: 1 + len(x) // (_ROWS_PER_CENTER * clusters)]
    centers = normalize(kmeans(subset, clusters), dim=1)
    nearest = [(part @ centers.T).argmax(dim=1) for part in torch.split(x, 8192)]
    return centers, torch.cat(nearest)


@full_precision
def sinkhorn(scores: Tensor, epsilon: float, iterations: int = 3) -> Tensor:
    """Assigns samples to prototypes with equal use of all prototypes (optimal transport).

    SwAV (Caron et al. 2020, https://arxiv.org/abs/2006.09882), eq. 3 to 5, by the Sinkhorn-Knopp
    algorithm in the log domain.

    Args:
        scores: (..., B, K) cosine similarities.
        epsilon: Weight of the entropy (epsilon in eq. 3); a larger one gives smoother codes.
        iterations: Number of normalizations over samples and over prototypes.

    Returns:
        (..., B, K) codes (q in eq. 2); rows sum to 1.
    """
    log_q = scores / epsilon
    for _ in range(iterations):
        log_q = log_softmax(log_q, dim=-2)  # every prototype gets the same share of the samples
        log_q = log_softmax(log_q, dim=-1)
    return log_q.exp()


@full_precision
def soft_encode(colors: Tensor, palette: Tensor) -> Tensor:
    """Encodes colors as weights of the five nearest colors of a palette.

    Colorful image colorization (Zhang et al. 2016, https://arxiv.org/abs/1603.08511), section 2.2.

    The weights are Gaussian; sigma is half the mean distance of neighbors in the palette, which
    corresponds to the 5 on a grid of 10 in the paper.

    Args:
        colors: (n, C) colors.
        palette: (Q, C) quantized colors.

    Returns:
        (n, Q) weights that sum to 1 for each color.
    """
    spacing = torch.cdist(palette, palette).fill_diagonal_(torch.inf).amin(dim=1).mean()
    sigma = (spacing / 2).clamp(min=1e-6)
    distance = torch.cdist(colors, palette, compute_mode="donot_use_mm_for_euclid_dist")
    nearest, index = distance.topk(min(5, len(palette)), largest=False)
    weights = (-((nearest / sigma) ** 2) / 2).softmax(dim=1)
    return torch.zeros_like(distance).scatter(1, index, weights)
