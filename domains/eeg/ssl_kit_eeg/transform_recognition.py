"""Signal transformation recognition: which of six transformations was applied to a signal?

Self-supervised ECG Representation Learning for Emotion Recognition, Sarkar, Etemad, 2020.
https://arxiv.org/abs/2002.03898
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ssl_kit import Batch, Config, Encoder, Objective, Output, View
from ssl_kit.nn import full_precision, rand_per_sample

from .alterations import NAMES, PIECES, STRETCHED, versions

_HIDDEN = 128
_WEIGHTS = (0.195, 0.195, 0.195, 0.0125, 0.0125, 0.195, 0.195)  # of the published code


@full_precision
def recognition_loss(logits: Tensor, weights: Tensor) -> Tensor:
    """Computes the weighted sum of binary cross entropies, L = sum_j a_j L_j, eq. 2.

    Args:
        logits: (B, 7, K) scores of each version of each signal for each task; version j is the
            positive class of task j.
        weights: (K,) weights of the tasks (a_j).
    """
    truth = torch.eye(logits.shape[1], device=logits.device, dtype=logits.dtype)
    each = binary_cross_entropy_with_logits(logits, truth.expand_as(logits), reduction="none")
    return (each.mean(dim=(0, 1)) * weights).sum()


@torch.no_grad()
def accuracy(logits: Tensor) -> Tensor:
    """Share of the versions (B, 7, 7) with the highest score for their task; 1/7 is chance."""
    tasks = torch.arange(logits.shape[1], device=logits.device)
    return (logits.argmax(dim=2) == tasks).float().mean()


class Head(nn.Module):
    """Two hidden layers of 128 units and a logit for one task."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first = nn.Linear(dim, _HIDDEN)
        self.second = nn.Linear(_HIDDEN, _HIDDEN)
        self.last = nn.Linear(_HIDDEN, 1)

    def forward(self, features: Tensor, kept: Tensor) -> Tensor:
        """Maps features to logits (n,) of one task.

        Args:
            features: (n, D) features of versions.
            kept: (n, 2, 128) dropout factors of the hidden units.
        """
        hidden = self.first(features).relu() * kept[:, 0]
        hidden = self.second(hidden).relu() * kept[:, 1]
        return self.last(hidden)[:, 0]  # type: ignore[no-any-return]


_Weight = Annotated[float, Field(ge=0)]


class TransformRecognitionConfig(Config):
    """Defaults of the published code."""

    weights: Annotated[
        tuple[_Weight, _Weight, _Weight, _Weight, _Weight, _Weight, _Weight],
        Field(description=f"weights of the tasks {', '.join(NAMES)} (alpha_j in eq. 2)"),
    ] = _WEIGHTS
    dropout: Annotated[float, Field(ge=0, lt=1, description="dropout rate in the heads")] = 0.6


class TransformRecognition(Objective):
    """Signal transformation recognition: one head per transformation detects it.

    https://arxiv.org/abs/2002.03898, eq. 2. Each window is shown in seven versions: original, noise
    at 15 dB, scaled by 1.1, negated, reversed in time, 20 segments permuted, and 9 segments
    stretched or squeezed by 1.05. They act along the last axis, in the same way on all channels.
    """

    paper = "https://arxiv.org/abs/2002.03898"
    Config = TransformRecognitionConfig

    weights: Tensor

    def __init__(self, encoder: Encoder, config: TransformRecognitionConfig) -> None:
        super().__init__(encoder, config)
        self.heads = nn.ModuleList(Head(encoder.num_features) for _ in NAMES)
        self.register_buffer("weights", torch.tensor(config.weights), persistent=False)

    @classmethod
    def views(cls, config: TransformRecognitionConfig, size: int) -> tuple[View, ...]:
        """One view that is only shifted in time."""
        return (View(size, policy="weak"),)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss over the seven versions of each window."""
        x = batch.views[0]
        transformed = versions(
            x,
            rand_per_sample(len(x), *x.shape[1:], like=x),
            rand_per_sample(len(x), PIECES, like=x),
            rand_per_sample(len(x), STRETCHED, like=x),
        )
        features = self.encoder(transformed.flatten(0, 1))
        kept = self._dropout(len(x), features)
        scores = [head(features, kept[:, j]) for j, head in enumerate(self.heads)]
        logits = torch.stack(scores, dim=1).view(len(x), len(NAMES), len(NAMES))
        loss = recognition_loss(logits, self.weights)
        return Output(loss, {"accuracy": accuracy(logits)})

    def _dropout(self, rows: int, features: Tensor) -> Tensor:
        """Draws the dropout factors of the heads' hidden units, (7 rows, 7, 2, 128)."""
        tasks, share = len(NAMES), self.config.dropout if self.training else 0.0
        if not share:
            return features.new_ones(rows * tasks, tasks, 2, _HIDDEN)
        drawn = rand_per_sample(rows, tasks, tasks, 2, _HIDDEN, like=features)
        return ((drawn >= share).to(features.dtype) / (1 - share)).flatten(0, 1)
