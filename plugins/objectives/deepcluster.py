"""Classification of images by clusters of their features, which are recomputed each epoch.

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
from ...nn import (
    accuracy,
    all_gather,
    cosine_scores,
    encode_views,
    full_precision,
    mlp,
    multi_crop,
    spherical_kmeans,
)


@full_precision
def assignment_loss(scores: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Computes the mean cross entropy of each view's scores with the cluster of its image, eq. 2.

    Args:
        scores: (V, B, K) cosine similarities to the centers.
        labels: (B,) cluster of each image.
        temperature: Temperature of the softmax (tau).
    """
    return cross_entropy(scores.flatten(0, 1) / temperature, labels.repeat(len(scores)))


class DeepClusterConfig(Config):
    """Defaults of main_deepclusterv2.py, https://github.com/facebookresearch/swav, scaled down.

    The authors have three sets of 3000 clusters for a million images, and 6 local crops.
    """

    local_crops: Annotated[
        int, Field(ge=0, description="number of local crops beside the two global ones")
    ] = 4
    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the projector")] = 512
    out_dim: Annotated[int, Field(ge=1, description="dimension of the projections")] = 128
    num_clusters: Annotated[
        int, Field(ge=2, description="number of clusters, at most one per 10 images (K)")
    ] = 256
    temperature: Annotated[float, Field(gt=0, description="softmax temperature tau (eq. 2)")] = 0.1


class DeepCluster(Objective):
    """DeepCluster-v2: crops predict the k-means cluster of their image in a memory bank.

    https://arxiv.org/abs/2006.09882, appendix D. The bank keeps for each image the mean projection
    of its global crops (the authors keep one crop) and is clustered after each epoch. In the first
    epoch each image of the batch is a cluster of its own, with its projection as the center (the
    authors encode the dataset once beforehand); later a new image joins the nearest center.
    """

    paper = "https://arxiv.org/abs/2006.09882"
    Config = DeepClusterConfig
    bank: Tensor
    labels: Tensor
    centers: Tensor
    epoch: Tensor

    def __init__(self, encoder: Encoder, config: DeepClusterConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden_dim, config.out_dim)

    def prepare(self, training: TrainingInfo) -> None:
        """Allocates the bank and the labels; they are 0 and -1 for images not yet encoded."""
        self.steps_per_epoch = training.steps_per_epoch
        clusters = max(2, min(self.config.num_clusters, training.images // 10))
        self.register_buffer("bank", torch.zeros(training.images, self.config.out_dim))
        self.register_buffer("labels", torch.full((training.images,), -1))
        self.register_buffer("centers", torch.zeros(clusters, self.config.out_dim))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.long))

    @classmethod
    def views(cls, config: DeepClusterConfig, size: int) -> tuple[View, ...]:
        """Two global and `local_crops` local crops."""
        return multi_crop(size, config.local_crops)

    def targets(self, rows: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Returns centers (K, D), and labels (B,) for projections (B, D) of images `indices`."""
        if not self.epoch:
            return rows, torch.arange(len(rows), device=rows.device)
        known = self.labels[indices]
        nearest = cosine_scores(rows, self.centers).argmax(dim=1)
        return self.centers, torch.where(known < 0, nearest, known)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss of all crops; the bank takes the new projections."""
        z = self.projector(torch.cat(encode_views(self.encoder, batch.views)))
        z = all_gather(torch.stack(z.chunk(len(batch.views)), dim=1)).transpose(0, 1)  # (V, P B, D)
        rows = normalize(normalize(z[:2].detach(), dim=2).mean(dim=0), dim=1).to(self.bank)
        indices = all_gather(batch.indices)
        centers, labels = self.targets(rows, indices)
        scores = cosine_scores(z, centers)
        self.bank[indices] = rows
        share = one_hot(labels, len(centers)).to(rows).mean(dim=0)
        metrics = {
            "accuracy": accuracy(scores, labels),
            "cluster_entropy": torch.special.entr(
                share
            ).sum(),  # of the batch; 0 if all images share a cluster
        }
        return Output(assignment_loss(scores, labels, self.config.temperature), metrics)

    @torch.no_grad()
    def after_step(self, step: int, steps: int) -> None:
        """Clusters the bank at the end of an epoch."""
        epoch = step // self.steps_per_epoch
        if epoch > int(self.epoch):
            self.epoch.fill_(epoch)
            filled = self.bank.any(dim=1)
            centers, self.labels[filled] = spherical_kmeans(self.bank[filled], len(self.centers))
            self.centers.copy_(centers)
