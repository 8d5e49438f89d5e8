"""Relative positioning: are two windows of a recording close in time?

Uncovering the structure of clinical EEG signals with self-supervised learning,
Banville, Chehab, Hyvarinen, Engemann, Gramfort, 2020. https://arxiv.org/abs/2007.16104
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from ssl_kit import Batch, Config, Encoder, Objective, Output, UsageError, View
from ssl_kit.nn import full_precision

from .moments import Supply, gathered, moments_of, some


def pairs_of(time: Tensor, recording: Tensor, close: float, far: float) -> tuple[Tensor, Tensor]:
    """Returns pairs of windows (m, 2) and whether they are close (m,), section 2.2.1.

    Args:
        time: (n,) start of each window in seconds.
        recording: (n, K) numbers that are equal for windows of one recording.
        close: Maximum distance of close pairs in seconds (tau_pos).
        far: Minimum distance of distant pairs in seconds (tau_neg); pairs in between are omitted.
    """
    same = (recording[:, None] == recording[None]).all(dim=2)
    apart = (time[:, None] - time[None]).abs()
    used = (same & ((apart <= close) | (apart > far))).triu(diagonal=1)
    pairs = used.nonzero()
    return pairs, apart[pairs[:, 0], pairs[:, 1]] <= close


@full_precision
def balanced_logistic(logits: Tensor, positive: Tensor) -> Tensor:
    """Computes log(1 + exp(-y logit)), eq. 1, with the same weight for both classes.

    The paper draws as many pairs of one class as of the other.

    Args:
        logits: (m,) scores.
        positive: (m,) whether the label y is 1 instead of -1.
    """
    each = softplus(torch.where(positive, -logits, logits))
    means = [each[chosen].mean() for chosen in (positive, ~positive) if bool(chosen.any())]
    return torch.stack(means).mean() if means else each.sum()


@torch.no_grad()
def balanced_accuracy(logits: Tensor, positive: Tensor) -> Tensor:
    """Computes the balanced accuracy over both classes; 0.5 is chance."""
    correct = ((logits > 0) == positive).float()
    shares = [correct[chosen].mean() for chosen in (positive, ~positive) if bool(chosen.any())]
    return torch.stack(shares).mean() if shares else correct.new_full((), 0.5)


class RelativePositioningConfig(Config):
    """The thresholds are those of the authors' example in braindecode."""

    close: Annotated[
        float, Field(gt=0, description="maximum distance of close windows in seconds (tau_pos)")
    ] = 60.0
    far: Annotated[
        float, Field(gt=0, description="minimum distance of distant windows in seconds (tau_neg)")
    ] = 900.0


class RelativePositioning(Objective):
    """Relative positioning: a linear layer classifies pairs of windows as close or distant.

    https://arxiv.org/abs/2007.16104, section 2.2.1 and eq. 1. Pairs are those of one recording in a
    batch. Use it with data.pair_by 'recording', which shows two windows of each recording.
    """

    paper = "https://arxiv.org/abs/2007.16104"
    Config = RelativePositioningConfig
    example = {"close": 2.0, "far": 3.0}  # noqa: RUF012  a ClassVar of the base

    def __init__(self, encoder: Encoder, config: RelativePositioningConfig) -> None:
        super().__init__(encoder, config)
        if config.far < config.close:
            raise UsageError("objective.far is less than objective.close.")
        self.head = nn.Linear(encoder.num_features, 1)
        self.supply = Supply()

    @classmethod
    def views(cls, config: RelativePositioningConfig, size: int) -> tuple[View, ...]:
        """Two views that are only shifted in time; a pairing shows a second window."""
        return (View(size, policy="weak"),) * 2

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss over the pairs of windows of one recording, of all processes.

        Raises:
            UsageError: If 100 batches in a row have no close or no distant pair.
        """
        moments = moments_of(batch)
        h, time, recording = gathered(moments, self.encoder(torch.cat(moments.views)))
        pairs, _ = pairs_of(time, recording, self.config.close, self.config.far)
        pairs = some(pairs, len(h), h)
        close = (time[pairs[:, 0]] - time[pairs[:, 1]]).abs() <= self.config.close
        logits = self.head((h[pairs[:, 0]] - h[pairs[:, 1]]).abs())[:, 0]
        both = bool(close.any()) and not bool(close.all())
        if self.training:
            self.supply.check(both, "close and distant pairs of windows of one recording")
        metrics = {
            "pair_accuracy": balanced_accuracy(logits, close),
            "pairs": logits.new_tensor(float(len(pairs))),
        }
        return Output(balanced_logistic(logits, close), metrics)
