"""Temporal shuffling: are three windows of a recording in temporal order?

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
    """Returns pairs of close windows of one recording (m, 2), the earlier one first.

    Args:
        time: (n,) start of each window in seconds.
        recording: (n, K) numbers that are equal for windows of one recording.
        close: Maximum distance of the anchors in seconds (tau_pos).
    """
    same = (recording[:, None] == recording[None]).all(dim=2)
    later = time[None] - time[:, None]
    return (same & (later > 0) & (later <= close)).nonzero()


def triples_of(
    anchors: Tensor, time: Tensor, recording: Tensor, far: float
) -> tuple[Tensor, Tensor]:
    """Returns triples (first anchor, window, second anchor), and whether they are in order.

    The window lies between the anchors, or further than `far` from both, section 2.2.2.

    Args:
        anchors: (a, 2) pairs of windows, see `anchors_of`.
        time: (n,) start of each window in seconds.
        recording: (n, K) numbers that are equal for windows of one recording.
        far: Minimum distance of a shuffled window from both anchors in seconds (tau_neg).

    Returns:
        (m, 3) indices of windows, and (m,) whether they are in order.
    """
    begin, end = anchors.T
    same = (recording[begin][:, None] == recording[None]).all(dim=2)
    first, last = time[begin][:, None], time[end][:, None]
    between = same & (time > first) & (time < last)
    outside = same & ((time < first - far) | (time > last + far))
    anchor, window = (between | outside).nonzero().T
    return torch.stack([begin[anchor], window, end[anchor]], dim=1), between[anchor, window]


def differences(h: Tensor, triples: Tensor) -> Tensor:
    """Concatenates |h1 - h2| and |h2 - h3|, eq. 3: (m, 2 D).

    Args:
        h: (n, D) features of the windows.
        triples: (m, 3) indices of windows.
    """
    first, middle, last = (h[triples[:, k]] for k in range(3))
    return torch.cat([(first - middle).abs(), (middle - last).abs()], dim=1)


class TemporalShufflingConfig(Config):
    """Thresholds of the temporal distances."""

    close: Annotated[
        float, Field(gt=0, description="maximum distance of two anchors in seconds (tau_pos)")
    ] = 300.0
    far: Annotated[
        float, Field(ge=0, description="minimum distance of shuffled windows in seconds (tau_neg)")
    ] = 900.0


class TemporalShuffling(Objective):
    """Temporal shuffling: a linear layer classifies triples of windows as ordered or shuffled.

    https://arxiv.org/abs/2007.16104, section 2.2.2 and eq. 3. Triples are those of one recording in
    a batch, half of them reversed. Use it with data.pair_by 'recording', which shows two windows of
    each recording.
    """

    paper = "https://arxiv.org/abs/2007.16104"
    Config = TemporalShufflingConfig
    example = {"close": 3.0, "far": 0.0}  # noqa: RUF012  a ClassVar of the base

    def __init__(self, encoder: Encoder, config: TemporalShufflingConfig) -> None:
        super().__init__(encoder, config)
        self.head = nn.Linear(2 * encoder.num_features, 1)
        self.supply = Supply()

    @classmethod
    def views(cls, config: TemporalShufflingConfig, size: int) -> tuple[View, ...]:
        """Two views that are only shifted in time; a pairing shows a second window."""
        return (View(size, policy="weak"),) * 2

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss over the triples of windows of one recording, of all processes.

        Raises:
            UsageError: If 100 batches in a row have no triple of one of the two classes.
        """
        moments = moments_of(batch)
        h, time, recording = gathered(moments, self.encoder(torch.cat(moments.views)))
        anchors = some(anchors_of(time, recording, self.config.close), len(h), h)
        triples, ordered = triples_of(anchors, time, recording, self.config.far)
        joined = some(torch.cat([triples, ordered[:, None].long()], dim=1), len(h), h)
        reverse = rand_shared(len(joined), 1, like=h) < 0.5
        triples = torch.where(reverse, joined[:, [2, 1, 0]], joined[:, :3])
        ordered = joined[:, 3] > 0
        logits = self.head(differences(h, triples))[:, 0]
        both = bool(ordered.any()) and not bool(ordered.all())
        if self.training:
            self.supply.check(both, "ordered and shuffled triples of windows of one recording")
        metrics = {
            "triple_accuracy": balanced_accuracy(logits, ordered),
            "triples": logits.new_tensor(float(len(triples))),
        }
        return Output(balanced_logistic(logits, ordered), metrics)
