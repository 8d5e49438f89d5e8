"""Dual consistency alignment: instance discrimination in K views, then alignment of features.

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
from ssl_kit.nn import accuracy, all_gather, full_precision, rand_shared


@full_precision
def instance_logits(features: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """Computes the scores (B, B) of each image for each instance, FC(f) / T.

    Args:
        features: (B, D) features of the images.
        weight: (B, D) weight of the classifier, one row per image of the batch.
        temperature: Temperature of the softmax (T).
    """
    return features @ weight.T / temperature


@full_precision
def instance_loss(logits: Tensor) -> Tensor:
    """Computes the pseudo-label alignment, a cross entropy with the index in the batch as label.

    Args:
        logits: (B, B) scores from `instance_logits`.
    """
    return cross_entropy(logits, torch.arange(len(logits), device=logits.device))


@full_precision
def feature_alignment(features: Tensor) -> Tensor:
    """Computes the mean squared distance of the views' features from their mean.

    Args:
        features: (K, B, D) features of K views.
    """
    return (features - features.mean(dim=0)).square().mean()


def ramp(progress: float, start: float, end: float) -> float:
    """Weight of the alignment: 0 up to the share `start` of the training, linear to 1 at `end`."""
    if progress >= end:
        return 1.0
    return (progress - start) / (end - start) if progress > start else 0.0


@torch.no_grad()
def updated(weight: Tensor, features: Tensor, logits: Tensor, rate: float) -> Tensor:
    """Takes a gradient step of the classifier (B, D) on the summed cross entropy times T."""
    gap = one_hot(torch.arange(len(logits), device=logits.device), len(logits)) - logits.softmax(1)
    return weight + rate / features.shape[1] * gap.to(weight.dtype).T @ features.to(weight.dtype)


class DCAConfig(Config):
    """Defaults of the published code where it has any; its ramp is from epoch 30 to 150 of 300."""

    num_views: Annotated[
        int, Field(ge=2, description="number of views, 6 in the authors' code (K)")
    ] = 4
    policy: Annotated[
        str, Field(description="augmentation policy, of which sar has the authors' as 'dca'")
    ] = "default"
    temperature: Annotated[float, Field(gt=0, description="softmax temperature T")] = 2.0
    rate: Annotated[float, Field(gt=0, description="classifier's learning rate, times D")] = 20.0
    ramp_start: Annotated[
        float, Field(ge=0, le=1, description="start of the alignment, share of the training")
    ] = 0.1
    ramp_end: Annotated[
        float, Field(ge=0, le=1, description="end of the alignment's ramp, share of the training")
    ] = 0.5


class DCA(Objective):
    """DCA: K steps of instance discrimination with a classifier per batch, then one of alignment.

    https://github.com/Jordan-Liao/DCA-SSL. The classifier is initialized for every batch and takes
    plain gradient steps at the end of each of the K phases. It is not a parameter, because an
    optimizer would carry its moments over to the next batch. Features are standardized over the
    batch, so that its learning rate suits any encoder. A moving average of the model with itself in
    the published code, which has no effect, is omitted.
    """

    paper = "https://github.com/Jordan-Liao/DCA-SSL"
    Config = DCAConfig
    example: ClassVar[Mapping[str, Any]] = {"ramp_start": 0.0, "ramp_end": 0.0}
    progress: Tensor
    classifier: Tensor

    def __init__(self, encoder: Encoder, config: DCAConfig) -> None:
        super().__init__(encoder, config)
        if config.ramp_start > config.ramp_end:
            raise UsageError(
                "objective.ramp_start is larger than objective.ramp_end; exchange them."
            )
        self.phases = config.num_views + 1
        self.norm = nn.BatchNorm1d(encoder.num_features, affine=False)
        self.register_buffer("progress", torch.zeros(()))
        self.register_buffer("classifier", torch.zeros(0, encoder.num_features), persistent=False)

    @classmethod
    def views(cls, config: DCAConfig, size: int) -> tuple[View, ...]:
        """K views with the same policy."""
        return (View(size, policy=config.policy),) * config.num_views

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes instance discrimination of view k in phase k < K, and alignment in phase K."""
        c = self.config
        if phase == c.num_views:
            pooled = self.norm(self.encoder(torch.cat(batch.views)))
            distance = feature_alignment(
                torch.stack([all_gather(f) for f in pooled.chunk(c.num_views)])
            )
            weight = ramp(float(self.progress), c.ramp_start, c.ramp_end)
            return Output(weight * distance, {"alignment": distance.detach()})
        features = all_gather(self.norm(self.encoder(batch.views[phase])))
        if phase == 0:
            bound = (6 / (features.shape[0] + features.shape[1])) ** 0.5  # Xavier, uniform
            self.classifier = bound * (2 * rand_shared(*features.shape, like=features) - 1)
        logits = instance_logits(features, self.classifier, c.temperature)
        labels = torch.arange(len(logits), device=logits.device)
        self.classifier = updated(self.classifier, features, logits, c.rate)
        return Output(instance_loss(logits), {"instance_accuracy": accuracy(logits, labels)})

    def after_step(self, step: int, steps: int) -> None:
        """Stores the progress of the training, for the ramp."""
        self.progress.fill_(step / steps)
