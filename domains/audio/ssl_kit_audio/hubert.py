"""Masked prediction of hidden units: first of clusters of cepstra, then of the encoder's frames.

HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units,
Hsu, Bolte, Tsai, Lakhotia, Salakhutdinov, Mohamed, 2021. https://arxiv.org/abs/2106.07447
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.special import entr

from ssl_kit import Batch, Config, Encoder, Objective, Output, UsageError, View
from ssl_kit.nn import (
    MaskPatch,
    all_gather,
    frozen_copy,
    kmeans,
    masked_prediction_loss,
    span_mask,
    warn_of_short_spans,
)

from .cepstra import COEFFICIENTS, mfcc
from .frames import heard

_FEWEST = 8  # frames of a view


class HubertConfig(Config):
    """Defaults of section IV: spans of 10 frames, 100 clusters of cepstra, then 500 of features."""

    clusters: Annotated[
        tuple[Annotated[int, Field(ge=2)], ...],
        Field(min_length=1, description="number of clusters (K) in each iteration"),
    ] = (100, 500)
    layer: Annotated[
        int, Field(description="level of the encoder's pyramid that later iterations cluster")
    ] = -2
    start: Annotated[
        float, Field(gt=0, lt=1, description="probability that a masked span begins at a frame")
    ] = 0.08
    span: Annotated[int, Field(ge=1, description="frames of a masked span, 1/4 at most")] = 10
    out_dim: Annotated[int, Field(ge=1, description="dimension of the code embeddings")] = 256
    temperature: Annotated[float, Field(gt=0, description="softmax temperature tau (eq. 3)")] = 0.1
    rate: Annotated[int, Field(ge=1000, description="sampling rate of waveforms in Hz")] = 16000


class Hubert(Objective):
    """HuBERT: masked frames predict the cluster that they belong to.

    https://arxiv.org/abs/2106.07447, eq. 1 and 3 with alpha = 1. Each number of clusters has an
    iteration of the training. In the first, clusters are those of cepstra of the views; in later
    ones, of the encoder's frames at the end of the one before. Unlike the paper's, the encoder is
    kept, and frames are masked before the front end. Those without a signal do not count.
    """

    paper = "https://arxiv.org/abs/2106.07447"
    Config = HubertConfig
    example: ClassVar = {"clusters": [6, 4], "rate": 8000}
    needs = frozenset({"pyramid"})
    trains = "map"
    iteration: Tensor
    fitted: Tensor
    scale: Tensor

    def __init__(self, encoder: Encoder, config: HubertConfig) -> None:
        super().__init__(encoder, config)
        shapes = encoder.pyramid_shapes(size := encoder.image_size)
        if not -len(shapes) <= config.layer < len(shapes):
            raise UsageError(f"'{encoder.name}' has only {len(shapes)} levels; set layer.")
        dim, height, width = shapes[-1]
        self.parts = 2 ** max(0, math.ceil(math.log2(_FEWEST / width)))  # of a frame
        self.frames = width * self.parts
        self.patch = math.ceil(size / self.frames)
        warn_of_short_spans(self.frames, config.span)
        self.cover = MaskPatch(encoder, self.patch, 1 if height == shapes[0][1] == 1 else size)
        self.head = nn.Linear(dim, config.out_dim * self.parts)
        self.codes = nn.Parameter(torch.randn(max(config.clusters), config.out_dim))
        self.frozen = frozen_copy(encoder)
        widths = [3 * COEFFICIENTS] + [shapes[config.layer][0]] * (len(config.clusters) - 1)
        for number, (k, each) in enumerate(zip(config.clusters, widths, strict=True)):
            self.register_buffer(f"centers{number}", torch.zeros(k, each))
        self.register_buffer("scale", torch.ones(widths[0]))
        self.register_buffer("iteration", torch.tensor(0))
        self.register_buffer("fitted", torch.tensor(False))

    @classmethod
    def views(cls, config: HubertConfig, size: int) -> tuple[View, ...]:
        """One weakly augmented view."""
        return (View(size, policy="weak"),)

    @torch.no_grad()
    def describe(self, x: Tensor) -> Tensor:
        """Returns what is clustered of each frame, (B, frames, D')."""
        if self.iteration == 0:
            return mfcc(x, self.frames, self.config.rate) * self.scale
        level = self.frozen.eval().forward_pyramid(x)[self.config.layer].mean(dim=2)
        return nn.functional.adaptive_avg_pool1d(level, self.frames).transpose(1, 2)

    def targets(self, x: Tensor) -> Tensor:
        """Returns the clusters (B, frames); the first batch of an iteration computes them."""
        centers = self.get_buffer(f"centers{int(self.iteration)}")
        if not self.fitted:
            rows, known = all_gather(self.describe(x)), all_gather(heard(x, self.frames))
            self._fit(rows[known] if known.any() else rows.flatten(0, 1), centers)
        rows = self.describe(x).to(centers)
        return torch.cdist(rows, centers.expand(len(x), -1, -1)).argmin(dim=2)

    def _fit(self, rows: Tensor, centers: Tensor) -> None:
        """Computes the centers from rows (n, D'); each cepstral coefficient has the same weight."""
        if self.iteration == 0:
            rows = rows * self.scale.copy_(1 / rows.std(dim=0).clamp(min=1e-6))
        centers.copy_(kmeans(torch.unique(rows.float().round(decimals=5), dim=0), len(centers)))
        self.fitted.fill_(True)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes loss and accuracy, and the entropy and the largest share of the clusters."""
        x, c = batch.views[0], self.config
        targets, codes = self.targets(x), self.codes[: c.clusters[int(self.iteration)]]
        mask, known = span_mask(len(x), self.frames, c.start, c.span, like=x), heard(x, self.frames)
        level = self.cover.forward_pyramid(self.encoder, x, mask[:, None])[-1]
        predicted = self.head(level.mean(dim=2).mT).reshape(len(x), self.frames, c.out_dim)
        counted = torch.where((mask & known).any(dim=1, keepdim=True), mask & known, mask)
        loss, accuracy = masked_prediction_loss(predicted, codes, targets, counted, c.temperature)
        share = targets[known].bincount(minlength=len(codes)) / known.sum().clamp(min=1)
        clusters = {"cluster_entropy": entr(share).sum(), "largest_cluster": share.max()}
        return Output(loss, {"masked_accuracy": accuracy, **clusters})

    def after_step(self, step: int, steps: int) -> None:
        """Starts the next iteration at its share of the training."""
        due = min(step * len(self.config.clusters) // steps, len(self.config.clusters) - 1)
        if due > self.iteration:
            self.frozen.load_state_dict(self.encoder.state_dict())
            self.iteration.fill_(due)
            self.fitted.fill_(False)
