"""Clustering of features across processes."""

from __future__ import annotations

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from .distributed import rank, world_size


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
