"""Masked prediction of the k-means clusters of patches, first of pixels and later of features.

HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units,
Hsu, Bolte, Tsai, Lakhotia, Salakhutdinov, Mohamed, 2021. https://arxiv.org/abs/2106.07447
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.special import entr

from ... import Batch, Config, Encoder, Objective, Output, UsageError, View
from ...nn import (
    MaskPatch,
    all_gather,
    frozen_copy,
    kmeans,
    masked_prediction_loss,
    pixel_features,
    upsample_mask,
)


class MaskedClustersConfig(Config):
    """The paper's temperature; fewer clusters (paper: 100, then 500) for smaller datasets."""

    num_clusters: Annotated[int, Field(ge=2, description="number of clusters (K)")] = 64
    iterations: Annotated[int, Field(ge=1, description="number of clusterings in a training")] = 2
    layer: Annotated[int, Field(description="index of the feature map that is clustered")] = -2
    mask_ratio: Annotated[float, Field(gt=0, lt=1, description="masked share of the image")] = 0.5
    grid_size: Annotated[int, Field(ge=2, description="minimum number of patches on a side")] = 8
    span: Annotated[int, Field(ge=1, description="side of masked squares, in patches")] = 2
    out_dim: Annotated[int, Field(ge=1, description="dimension of the code embeddings")] = 128
    temperature: Annotated[float, Field(gt=0, description="softmax temperature tau (eq. 3)")] = 0.1


class MaskedClusters(Objective):
    """HuBERT for images and signals: masked patches predict the cluster that they belong to.

    https://arxiv.org/abs/2106.07447, eq. 1 and 3. In the first iteration clusters are those of the
    patches' pixels, in later ones those of features of the encoder of the previous iteration.
    """

    paper = "https://arxiv.org/abs/2106.07447"
    Config = MaskedClustersConfig
    needs = frozenset({"pyramid"})
    trains = "map"
    iteration: Tensor
    fitted: Tensor

    def __init__(self, encoder: Encoder, config: MaskedClustersConfig) -> None:
        super().__init__(encoder, config)
        shapes = encoder.pyramid_shapes(encoder.image_size)
        if not -len(shapes) <= config.layer < len(shapes):
            raise UsageError(f"'{encoder.name}' has only {len(shapes)} feature maps; set layer.")
        (dim, _, w), c = shapes[-1], encoder.channels
        self.parts = 2 ** max(0, math.ceil(math.log2(config.grid_size / w)))  # per position
        self.patch = math.ceil(math.ceil(encoder.image_size / w) / self.parts)
        self.cover = MaskPatch(encoder, self.patch * config.span)
        self.head = nn.Conv2d(dim, config.out_dim * self.parts**2, 1)
        self.codes = nn.Parameter(torch.randn(config.num_clusters, config.out_dim))
        self.frozen = frozen_copy(encoder)
        self.register_buffer("pixel_centers", torch.zeros(config.num_clusters, 64 * c))
        self.register_buffer("centers", torch.zeros(config.num_clusters, shapes[config.layer][0]))
        self.register_buffer("iteration", torch.tensor(0))
        self.register_buffer("fitted", torch.tensor(False))

    @classmethod
    def views(cls, config: MaskedClustersConfig, size: int) -> tuple[View, ...]:
        """One weakly augmented view."""
        return (View(size, policy="weak"),)

    @torch.no_grad()
    def describe(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Returns the features (B, N, D') of a grid of N patches that are clustered."""
        if self.iteration > 0:
            level = self.frozen.eval().forward_pyramid(x)[self.config.layer]
            return F.adaptive_avg_pool2d(level, grid).flatten(2).transpose(1, 2)
        return pixel_features(x, grid)

    def targets(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Returns the clusters (B, N) of patches; the first batch of an iteration computes them."""
        rows = self.describe(x, grid)
        centers = self.get_buffer("centers" if self.iteration > 0 else "pixel_centers")
        if not self.fitted:
            distinct = torch.unique(all_gather(rows).flatten(0, 1).float().round(decimals=5), dim=0)
            centers.copy_(kmeans(distinct, len(centers)))  # blank patches count once
            self.fitted.fill_(True)
        return torch.cdist(rows.flatten(0, 1).to(centers), centers).argmin(dim=1).view(len(x), -1)

    def predict(self, x: Tensor, spans: Tensor, grid: tuple[int, int]) -> Tensor:
        """Predicts code embeddings (B, N, out_dim) of a grid of N patches under masks (B, h, w)."""
        level = self.cover.forward_pyramid(self.encoder, x, spans)[-1]
        codes = F.pixel_shuffle(self.head(level), self.parts)
        return codes[..., : grid[0], : grid[1]].flatten(2).transpose(1, 2)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes loss and accuracy, and the entropy of the clusters, at most log K nats."""
        x, c = batch.views[0], self.config
        grid = math.ceil(x.shape[2] / self.patch), math.ceil(x.shape[3] / self.patch)
        targets, spans = self.targets(x, grid), self.cover.draw(x, c.mask_ratio)
        mask = upsample_mask(spans, grid).flatten(1)
        predicted = self.predict(x, spans, grid)
        loss, accuracy = masked_prediction_loss(predicted, self.codes, targets, mask, c.temperature)
        share = targets.flatten().bincount(minlength=c.num_clusters) / targets.numel()
        return Output(loss, {"masked_accuracy": accuracy, "cluster_entropy": entr(share).sum()})

    def after_step(self, step: int, steps: int) -> None:
        """Starts the next iteration at its share of the training."""
        due = min(step * self.config.iterations // steps, self.config.iterations - 1)
        if due > self.iteration:
            self.frozen.load_state_dict(self.encoder.state_dict())
            self.iteration.fill_(due)
            self.fitted.fill_(False)
