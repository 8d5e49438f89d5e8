"""Contrasts every place of an image with its counterpart in another view, beside the whole image.

Dense Contrastive Learning for Self-Supervised Visual Pre-Training,
Wang, Zhang, Shen, Kong, Li, 2020. https://arxiv.org/abs/2011.09157
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import FeatureQueue, ema_, frozen_copy, full_precision, mlp
from .moco import info_nce

Head = Callable[[Tensor], Tensor]


def cells(feature_map: Tensor, side: int) -> Tensor:
    """Pools a map (B, D, h, w) to at most side x side cells; lists them row by row, (B, N, D)."""
    h, w = feature_map.shape[2:]
    pooled = adaptive_avg_pool2d(feature_map, (min(h, side), min(w, side)))
    return pooled.flatten(2).mT


@full_precision
def counterparts(f1: Tensor, f2: Tensor) -> Tensor:
    """Finds the most similar cell of the other view by cosine similarity, eq. 4.

    Args:
        f1: (B, N, D) features of the encoder in one view.
        f2: (B, M, D) features in the other.

    Returns:
        (B, N) numbers below M.
    """
    return (normalize(f1, dim=2) @ normalize(f2, dim=2).mT).argmax(dim=2)


def pick(cells: Tensor, numbers: Tensor) -> Tensor:
    """Takes the cells (B, N, D) of (B, M, D) that are numbered by (B, N)."""
    return cells.gather(1, numbers[..., None].expand(-1, -1, cells.shape[2]))


class DenseCLConfig(Config):
    """Defaults of section 4.1 on MoCo v2; queues and widths as those of our MoCo."""

    hidden: Annotated[int, Field(ge=1, description="width inside both projectors")] = 512
    out: Annotated[int, Field(ge=1, description="width of the projections")] = 128
    temperature: Annotated[float, Field(gt=0, description="tau of eq. 1 and 2")] = 0.2
    momentum: Annotated[float, Field(ge=0, le=1, description="of the teacher; paper .999")] = 0.99
    queue: Annotated[int, Field(ge=1, description="keys of each queue; paper 65536")] = 4096
    grid: Annotated[int, Field(ge=1, description="S: larger maps are pooled to S x S cells")] = 7
    dense: Annotated[float, Field(ge=0, le=1, description="lambda of eq. 3")] = 0.5


class DenseCL(Objective):
    """MoCo v2 with a second contrast, of cells; for detection and segmentation.

    As in our MoCo, batch normalization stands inside both projectors.
    """

    paper = "https://arxiv.org/abs/2011.09157"
    Config = DenseCLConfig
    needs = frozenset({"pyramid"})
    example: ClassVar = {"queue": 16384}  # their one small batch soon fills a short one with itself

    def __init__(self, encoder: Encoder, config: DenseCLConfig) -> None:
        super().__init__(encoder, config)
        width = encoder.pyramid_shapes(encoder.image_size)[-1][0]
        self.projector = mlp(encoder.num_features, config.hidden, config.out)
        self.dense_projector = mlp(width, config.hidden, config.out)
        self.teacher_encoder = frozen_copy(self.encoder)
        self.teacher_projector = frozen_copy(self.projector)
        self.teacher_dense_projector = frozen_copy(self.dense_projector)
        self.queue = FeatureQueue(config.queue, config.out)
        self.dense_queue = FeatureQueue(config.queue, config.out)

    @classmethod
    def views(cls, config: DenseCLConfig, size: int) -> tuple[View, ...]:
        """Query and key, of the same kind."""
        return (View(size), View(size))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        projections: Tensor = self.projector(features)
        return projections

    def _look(
        self, x: Tensor, encoder: Encoder, projector: Head, dense: Head
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns projections (B, out), cells (B, N, D) and projected cells (B, N, out)."""
        pooled, levels = encoder.forward_features(x)
        f = cells(levels[-1], self.config.grid)
        projected = dense(f.flatten(0, 1)).view(*f.shape[:2], -1)
        return normalize(projector(pooled), dim=1), f, projected

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """InfoNCE of images and of cells, eq. 3; a dense key is a whole view's mean of cells."""
        query, key = batch.views
        q, f1, r = self._look(query, self.encoder, self.projector, self.dense_projector)
        with torch.no_grad():
            k, f2, t = self._look(
                key, self.teacher_encoder, self.teacher_projector, self.teacher_dense_projector
            )
            positive = pick(t, counterparts(f1, f2))
        tau, part = self.config.temperature, self.config.dense
        r, positive = (normalize(x.flatten(0, 1), dim=1) for x in (r, positive))
        whole = info_nce(q, k, self.queue(), tau)
        dense = info_nce(r, positive, self.dense_queue(), tau)
        self.queue.push(k)
        self.dense_queue.push(normalize(t.mean(dim=1), dim=1))
        metrics = {"global_loss": whole.detach(), "dense_loss": dense.detach()}
        return Output((1 - part) * whole + part * dense, metrics)

    def after_step(self, step: int, steps: int) -> None:
        """Moves the teacher."""
        m = self.config.momentum
        ema_(self.teacher_encoder, self.encoder, m)
        ema_(self.teacher_projector, self.projector, m)
        ema_(self.teacher_dense_projector, self.dense_projector, m)
