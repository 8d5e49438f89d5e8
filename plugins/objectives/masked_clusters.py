"""Tells the cluster of hidden places; clusters are of pixels at first, then of own features.

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
    full_precision,
    kmeans,
    patchify,
    upsample_mask,
)


@full_precision
def masked_prediction_loss(
    predicted: Tensor, codes: Tensor, targets: Tensor, mask: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Cross entropy of hidden places, eq. 1 and 3 with alpha = 1.

    Args:
        predicted: (B, N, D).
        codes: (K, D) one embedding per cluster.
        targets: (B, N) clusters, 0 to K - 1.
        mask: (B, N), True where hidden; somewhere in every row.
        temperature: tau.

    Returns:
        Mean over images of the means over hidden places, and the accuracy, likewise.
    """
    logits = F.normalize(predicted, dim=2) @ F.normalize(codes, dim=1).T / temperature  # (B, N, K)
    error = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    values = torch.stack([error.view(mask.shape), (logits.argmax(dim=2) == targets).to(error)])
    loss, accuracy = ((values * mask).sum(dim=2) / mask.sum(dim=1)).mean(dim=1)
    return loss, accuracy.detach()


class MaskedClustersConfig(Config):
    """The paper's temperature; fewer clusters (it has 100, then 500), as suits small sets."""

    clusters: Annotated[int, Field(ge=2, description="K")] = 64
    iterations: Annotated[
        int, Field(ge=1, description="times that clusters are made, at equal shares of the run")
    ] = 2
    layer: Annotated[int, Field(description="map clustered later on; 0 finest, -1 last")] = -2
    ratio: Annotated[float, Field(gt=0, lt=1, description="share of the image hidden")] = 0.5
    places: Annotated[int, Field(ge=2, description="places along a side, at least")] = 8
    span: Annotated[int, Field(ge=1, description="places along a side that hide together")] = 2
    width: Annotated[int, Field(ge=1, description="of predictions and code embeddings")] = 128
    temperature: Annotated[float, Field(gt=0, description="tau of eq. 3")] = 0.1


class MaskedClusters(Objective):
    """Masked prediction of hidden units, for images and for signals of height 1."""

    paper = "https://arxiv.org/abs/2106.07447"
    Config = MaskedClustersConfig
    needs = frozenset({"pyramid"})
    iteration: Tensor
    fitted: Tensor

    def __init__(self, encoder: Encoder, config: MaskedClustersConfig) -> None:
        super().__init__(encoder, config)
        shapes = encoder.pyramid_shapes(encoder.image_size)
        if not -len(shapes) <= config.layer < len(shapes):
            raise UsageError(f"'{encoder.name}' has maps 0 to {len(shapes) - 1}; set layer to one.")
        (dim, _, w), c = shapes[-1], encoder.channels
        self.parts = 2 ** max(0, math.ceil(math.log2(config.places / w)))  # of a cell's side
        self.place = math.ceil(math.ceil(encoder.image_size / w) / self.parts)
        self.cover = MaskPatch(c, (self.place * config.span, self.place * config.span))
        self.head = nn.Conv2d(dim, config.width * self.parts**2, 1)
        self.codes = nn.Parameter(torch.randn(config.clusters, config.width))
        self.frozen = frozen_copy(encoder)
        self.register_buffer("pixel_centers", torch.zeros(config.clusters, 64 * c))
        self.register_buffer("centers", torch.zeros(config.clusters, shapes[config.layer][0]))
        self.register_buffer("iteration", torch.zeros((), dtype=torch.long))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    @classmethod
    def views(cls, config: MaskedClustersConfig, size: int) -> tuple[View, ...]:
        """One crop, hardly altered."""
        return (View(size, policy="weak"),)

    @torch.no_grad()
    def describe(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Returns what is clustered, (B, N, features) of a grid of N places of images."""
        if self.iteration > 0:
            level = self.frozen.forward_pyramid(x)[self.config.layer]
            return F.adaptive_avg_pool2d(level, grid).flatten(2).transpose(1, 2)
        fine = (8, 8) if x.shape[2] > 1 else (1, 64)
        patches = patchify(F.adaptive_avg_pool2d(x, (grid[0] * fine[0], grid[1] * fine[1])), fine)
        return F.layer_norm(patches, patches.shape[-1:]) if x.shape[2] > 1 else patches

    def targets(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Returns the clusters (B, N) of places; an iteration makes them at its first batch."""
        rows = self.describe(x, grid)
        centers = self.get_buffer("centers" if self.iteration > 0 else "pixel_centers")
        if not self.fitted:
            known = all_gather(rows).flatten(0, 1).round(decimals=5)
            different = torch.unique(known, dim=0)  # blank places once
            centers.copy_(kmeans(different, len(centers)))
            self.fitted.fill_(True)
        return torch.cdist(rows.flatten(0, 1).to(centers), centers).argmin(dim=1).view(len(x), -1)

    def predict(self, x: Tensor, spans: Tensor, grid: tuple[int, int]) -> Tensor:
        """Predicts code embeddings (B, N, width) of a grid of N places, some spans hidden."""
        level = self.cover.forward_pyramid(self.encoder, x, spans)[-1]
        made = F.pixel_shuffle(self.head(level), self.parts)
        return made[..., : grid[0], : grid[1]].flatten(2).transpose(1, 2)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Loss and accuracy at hidden places; the clusters' entropy in nats, log K at most."""
        x, c = batch.views[0], self.config
        grid = math.ceil(x.shape[2] / self.place), math.ceil(x.shape[3] / self.place)
        targets, spans = self.targets(x, grid), self.cover.draw(x, c.ratio)
        mask = upsample_mask(spans, grid).flatten(1)
        predicted = self.predict(x, spans, grid)
        loss, accuracy = masked_prediction_loss(predicted, self.codes, targets, mask, c.temperature)
        share = targets.flatten().bincount(minlength=c.clusters) / targets.numel()
        return Output(loss, {"masked_accuracy": accuracy, "cluster_entropy": entr(share).sum()})

    def after_step(self, step: int, steps: int) -> None:
        """Begins the next iteration when its share of the run has come."""
        iterations = self.config.iterations
        due = min(step * iterations // steps, iterations - 1)
        if due > self.iteration:
            self.frozen.load_state_dict(self.encoder.state_dict())
            self.iteration.fill_(due)
            self.fitted.fill_(False)
