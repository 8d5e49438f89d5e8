"""Tells whether three windows of a recording are in order.

Uncovering the structure of clinical EEG signals with self-supervised learning,
Banville, Chehab, Hyvarinen, Engemann, Gramfort, 2020. https://arxiv.org/abs/2007.16104
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ssl_kit import Batch, Config, Encoder, Objective, Output, View
from ssl_kit.nn import rand_shared

from .moments import Supply, gathered, moments_of, some
from .relative_positioning import balanced_accuracy, balanced_logistic


def anchors_of(time: Tensor, recording: Tensor, close: float) -> Tensor:
    """Returns pairs of windows of one recording, (m, 2), the first earlier, at most `close` apart.

    Args:
        time: (n,) seconds.
        recording: (n, K) numbers that windows of one recording have in common.
        close: tau_pos.
    """
    same = (recording[:, None] == recording[None]).all(dim=2)
    later = time[None] - time[:, None]
    return (same & (later > 0) & (later <= close)).nonzero()


def triples_of(
    anchors: Tensor, time: Tensor, recording: Tensor, far: float
) -> tuple[Tensor, Tensor]:
    """Returns (first anchor, other window, second anchor), (m, 3), and whether in order, (m,).

    The other window lies between the anchors, or further than `far` from both, section 2.2.2.

    Args:
        anchors: (a, 2), see `anchors_of`.
        time: (n,) seconds.
        recording: (n, K).
        far: tau_neg.
    """
    begin, end = anchors.T
    same = (recording[begin][:, None] == recording[None]).all(dim=2)
    first, last = time[begin][:, None], time[end][:, None]
    between = same & (time > first) & (time < last)
    outside = same & ((time < first - far) | (time > last + far))
    found = (between | outside).nonzero()
    triples = torch.stack([begin[found[:, 0]], found[:, 1], end[found[:, 0]]], dim=1)
    return triples, between[found[:, 0], found[:, 1]]


def differences(h: Tensor, triples: Tensor) -> Tensor:
    """Returns |h1 - h2| and |h2 - h3| side by side, (m, 2 D), eq. 3.

    Args:
        h: (n, D).
        triples: (m, 3).
    """
    first, middle, last = (h[triples[:, k]] for k in range(3))
    return torch.cat([(first - middle).abs(), (middle - last).abs()], dim=1)


class TemporalShufflingConfig(Config):
    """What is close, and what is far."""

    close: Annotated[
        float, Field(gt=0, description="seconds that two anchors are apart at most (tau_pos)")
    ] = 300.0
    far: Annotated[
        float, Field(ge=0, description="seconds of a shuffled window from both anchors (tau_neg)")
    ] = 900.0


class TemporalShuffling(Objective):
    """Temporal shuffling, among the windows of a batch; half of the triples in mirror image.

    Best with data.pair_by 'recording', which gives each window another of its recording.
    """

    paper = "https://arxiv.org/abs/2007.16104"
    Config = TemporalShufflingConfig
    example = {"close": 3.0, "far": 0.0}  # noqa: RUF012  a ClassVar of the base

    def __init__(self, encoder: Encoder, config: TemporalShufflingConfig) -> None:
        super().__init__(encoder, config)
        self.answer = nn.Linear(2 * encoder.num_features, 1)
        self.supply = Supply()

    @classmethod
    def views(cls, config: TemporalShufflingConfig, size: int) -> tuple[View, ...]:
        """Two views, so that a pairing can show a second window."""
        return (View(size, policy="weak"),) * 2

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Loss over the triples of windows of one recording, of all processes.

        Raises:
            UsageError: If 100 batches in a row have no triple of one of the two kinds.
        """
        moments = moments_of(batch)
        h, time, recording = gathered(moments, self.encoder(torch.cat(moments.views)))
        anchors = some(anchors_of(time, recording, self.config.close), len(h), h)
        triples, ordered = triples_of(anchors, time, recording, self.config.far)
        joined = some(torch.cat([triples, ordered[:, None].long()], dim=1), len(h), h)
        mirrored = rand_shared(len(joined), 1, like=h) < 0.5
        triples, ordered = (
            torch.where(mirrored, joined[:, [2, 1, 0]], joined[:, :3]),
            joined[:, 3] > 0,
        )
        logits = self.answer(differences(h, triples))[:, 0]
        both = bool(ordered.any()) and not bool(ordered.all())
        if self.training:
            self.supply.check(both, "ordered and shuffled triples of windows of one recording")
        metrics = {
            "triple_accuracy": balanced_accuracy(logits, ordered),
            "triples": logits.new_tensor(float(len(triples))),
        }
        return Output(balanced_logistic(logits, ordered), metrics)
