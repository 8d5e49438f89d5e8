"""Tells the images of a batch apart in each of K views, then draws an image's features together.

Dual Consistency Alignment Based Self-Supervised Learning for SAR Target Recognition With Speckle
Noise Resistance, Zhai, Liao, Sun, Jiang, Ying, Wang, Genovese, Piuri, Scotti, 2023, IEEE JSTARS 16,
3915-3928. https://github.com/Jordan-Liao/DCA-SSL
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from ssl_kit import Batch, Config, Encoder, Objective, Output, UsageError, View
from ssl_kit.nn import all_gather, full_precision, rand_shared


@full_precision
def instance_logits(features: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """Scores (B, B) of each image against each instance: FC(f) / T.

    Args:
        features: (B, D).
        weight: (B, D), a row for each image of the batch.
        temperature: T.
    """
    return features @ weight.T / temperature


@full_precision
def instance_loss(logits: Tensor) -> Tensor:
    """Pseudo-label alignment: cross entropy with each image's own place in the batch as label.

    Args:
        logits: (B, B).
    """
    return cross_entropy(logits, torch.arange(len(logits), device=logits.device))


@full_precision
def feature_alignment(features: Tensor) -> Tensor:
    """Mean squared distance of the views' features from their mean, over all elements.

    Args:
        features: (K, B, D).
    """
    return (features - features.mean(dim=0)).square().mean()


def ramp(progress: float, start: float, end: float) -> float:
    """Weight of the alignment: 0 up to `start`, linear to 1 at `end`, all as shares of the run."""
    if progress >= end:
        return 1.0
    return max(0.0, (progress - start) / (end - start))


@torch.no_grad()
def updated(weight: Tensor, features: Tensor, logits: Tensor, rate: float) -> Tensor:
    """One gradient step of the classifier on the summed cross entropy times T; rows are (B, D)."""
    gap = one_hot(torch.arange(len(logits), device=logits.device), len(logits)) - logits.softmax(1)
    return weight + rate / features.shape[1] * gap.to(weight.dtype).T @ features.to(weight.dtype)


class DCAConfig(Config):
    """The published code leaves much open; see the class. Its ramp: epochs 30 to 150 of 300."""

    views: Annotated[int, Field(ge=2, description="K; 6 in the authors' code, 4 here for time")] = 4
    policy: Annotated[str, Field(description="of the views; in sar, 'dca' is the authors'")] = (
        "default"
    )
    temperature: Annotated[float, Field(gt=0, description="T of the classifier")] = 2.0
    rate: Annotated[float, Field(gt=0, description="step of the classifier, times D")] = 20.0
    ramp_start: Annotated[float, Field(ge=0, le=1, description="share of the run")] = 0.1
    ramp_end: Annotated[float, Field(ge=0, le=1, description="share of the run")] = 0.5


class DCA(Objective):
    """K steps against a classifier that is new for every batch, then one of alignment.

    The classifier takes plain gradient steps of its own, at the end of each of the K phases, and
    is no parameter: an optimizer would carry moments of one batch's instances over to the next's.
    Features are standardized over the batch, so that its step suits any encoder. Left out of the
    published code: a moving average of the model with itself, which does nothing, and the order of
    the views, which are of one kind.
    """

    paper = "https://github.com/Jordan-Liao/DCA-SSL"
    Config = DCAConfig
    example: ClassVar[Mapping[str, Any]] = {"ramp_start": 0.0, "ramp_end": 0.0}
    progress: Tensor
    classifier: Tensor

    def __init__(self, encoder: Encoder, config: DCAConfig) -> None:
        super().__init__(encoder, config)
        if config.ramp_start > config.ramp_end:
            raise UsageError("objective.ramp_start is after objective.ramp_end; exchange them.")
        self.phases = config.views + 1
        self.norm = nn.BatchNorm1d(encoder.num_features, affine=False)
        self.register_buffer("progress", torch.zeros(()))
        self.register_buffer("classifier", torch.zeros(0, encoder.num_features), persistent=False)

    @classmethod
    def views(cls, config: DCAConfig, size: int) -> tuple[View, ...]:
        """K views of the same kind."""
        return (View(size, policy=config.policy),) * config.views

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Phase k < K tells the instances of view k apart; phase K aligns all views."""
        c = self.config
        if phase == c.views:
            pooled = self.norm(self.encoder(torch.cat(batch.views)))
            apart = feature_alignment(torch.stack([all_gather(f) for f in pooled.chunk(c.views)]))
            weight = ramp(float(self.progress), c.ramp_start, c.ramp_end)
            return Output(weight * apart, {"alignment": apart.detach()})
        features = all_gather(self.norm(self.encoder(batch.views[phase])))
        if phase == 0:
            bound = (6 / (features.shape[0] + features.shape[1])) ** 0.5  # Xavier, uniform
            self.classifier = bound * (2 * rand_shared(*features.shape, like=features) - 1)
        logits = instance_logits(features, self.classifier, c.temperature)
        told = logits.argmax(1) == torch.arange(len(logits), device=logits.device)
        self.classifier = updated(self.classifier, features, logits, c.rate)
        return Output(instance_loss(logits), {"instance_accuracy": told.float().mean()})

    def after_step(self, step: int, steps: int) -> None:
        """Notes how much of the run is done, for the ramp."""
        self.progress.fill_(step / steps)
