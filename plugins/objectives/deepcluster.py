"""Tells which cluster an image's features belong to; the clusters are found anew each epoch.

DeepCluster-v2 in: Unsupervised Learning of Visual Features by Contrasting Cluster Assignments,
Caron, Misra, Mairal, Goyal, Bojanowski, Joulin, 2020. https://arxiv.org/abs/2006.09882
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

from ... import Batch, Config, Encoder, Objective, Output, TrainingInfo, View
from ...nn import all_gather, encode_views, full_precision, kmeans, mlp, multi_crop

_ROWS_PER_CENTER = 64  # more hardly move the centers of k-means, and cost time


@full_precision
def cosines(z: Tensor, centers: Tensor) -> Tensor:
    """Cosine similarities (..., B, K) of features (..., B, D) and centers (K, D)."""
    return normalize(z, dim=-1) @ normalize(centers, dim=1).T


@full_precision
def assignment_loss(scores: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Mean cross entropy of each view's softmax over the clusters and its image's cluster, eq. 2.

    Args:
        scores: (V, B, K) cosine similarities to the centers.
        labels: (B,) the cluster of each image.
        temperature: tau.
    """
    return cross_entropy(scores.flatten(0, 1) / temperature, labels.repeat(len(scores)))


def spherical_clusters(rows: Tensor, clusters: int) -> tuple[Tensor, Tensor]:
    """Clusters rows (n, D) of unit length by k-means.

    Returns:
        Centers (K, D) of unit length, and for each row the nearest (n,).
    """
    some = rows[:: 1 + len(rows) // (_ROWS_PER_CENTER * clusters)]
    centers = normalize(kmeans(some, clusters), dim=1)
    nearest = [(part @ centers.T).argmax(dim=1) for part in torch.split(rows, 8192)]
    return centers, torch.cat(nearest)


class DeepClusterConfig(Config):
    """Defaults of main_deepclusterv2.py, https://github.com/facebookresearch/swav, scaled down.

    The authors take three sets of 3000 clusters for a million images, and 6 small views.
    """

    crops: Annotated[int, Field(ge=0, description="small views beside the two large ones")] = 4
    hidden: Annotated[int, Field(ge=1, description="width inside the projector")] = 512
    out: Annotated[int, Field(ge=1, description="width of the projections")] = 128
    clusters: Annotated[int, Field(ge=2, description="K, or one for 10 images if fewer")] = 256
    temperature: Annotated[float, Field(gt=0, description="tau of eq. 2")] = 0.1


class DeepCluster(Objective):
    """DeepCluster-v2: a bank of one row per image, clustered after each epoch.

    A row is the mean of the image's large views when last seen (the authors keep one of them).
    In the first epoch each image of the batch is a cluster of its own, its row the center (they
    encode the dataset once beforehand); later a new image belongs to the nearest center.
    """

    paper = "https://arxiv.org/abs/2006.09882"
    Config = DeepClusterConfig
    bank: Tensor
    labels: Tensor
    centers: Tensor
    epoch: Tensor

    def __init__(self, encoder: Encoder, config: DeepClusterConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden, config.out)

    def prepare(self, training: TrainingInfo) -> None:
        """Makes the bank (0 where an image was not seen) and the clusters (-1 likewise)."""
        self.steps_per_epoch = training.steps_per_epoch
        clusters = max(2, min(self.config.clusters, training.images // 10))
        self.register_buffer("bank", torch.zeros(training.images, self.config.out))
        self.register_buffer("labels", torch.full((training.images,), -1))
        self.register_buffer("centers", torch.zeros(clusters, self.config.out))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.long))

    @classmethod
    def views(cls, config: DeepClusterConfig, size: int) -> tuple[View, ...]:
        """Two large views and `crops` small ones."""
        return multi_crop(size, config.crops)

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        projections: Tensor = self.projector(features)
        return projections

    def targets(self, rows: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Returns centers (K, D) and labels (B,) for rows (B, D) of the images `indices`."""
        if not self.epoch:
            return rows, torch.arange(len(rows), device=rows.device)
        known = self.labels[indices]
        nearest = cosines(rows, self.centers).argmax(dim=1)
        return self.centers, torch.where(known < 0, nearest, known)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """All views predict the cluster of their image; the bank takes the new rows."""
        z = self.project(torch.cat(encode_views(self.encoder, batch.views)))
        z = all_gather(torch.stack(z.chunk(len(batch.views)), dim=1)).transpose(0, 1)  # (V, P B, D)
        rows = normalize(normalize(z[:2].detach(), dim=2).mean(dim=0), dim=1).to(self.bank)
        indices = all_gather(batch.indices)
        centers, labels = self.targets(rows, indices)
        scores = cosines(z, centers)
        self.bank[indices] = rows
        share = one_hot(labels, len(centers)).to(rows).mean(dim=0)
        metrics = {
            "accuracy": (scores.argmax(dim=2) == labels).float().mean(),
            "cluster_entropy": torch.special.entr(share).sum(),  # of the batch; 0: one for all
        }
        return Output(assignment_loss(scores, labels, self.config.temperature), metrics)

    @torch.no_grad()
    def after_step(self, step: int, steps: int) -> None:
        """Finds the clusters anew at the end of an epoch."""
        epoch = step // self.steps_per_epoch
        if epoch > int(self.epoch):
            self.epoch.fill_(epoch)
            seen = self.bank.any(dim=1)
            centers, self.labels[seen] = spherical_clusters(self.bank[seen], len(self.centers))
            self.centers.copy_(centers)
