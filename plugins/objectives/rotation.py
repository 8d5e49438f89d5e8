"""Rotation prediction: by which multiple of 90 degrees was an image rotated?

Unsupervised Representation Learning by Predicting Image Rotations,
Gidaris, Singh, Komodakis, 2018. https://arxiv.org/abs/1803.07728
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import accuracy, full_precision, refuse_signals


def four_rotations(x: Tensor) -> Tensor:
    """Rotates images (B, C, S, S) by 0, 90, 180 and 270 degrees, in this order: (4 B, C, S, S)."""
    return torch.cat([x.rot90(k, dims=(2, 3)) for k in range(4)])


@full_precision
def rotation_loss(logits: Tensor) -> Tensor:
    """Computes the cross entropy over the four rotations, eq. 2 and 3.

    Args:
        logits: (4 B, 4), with rows in the order of `four_rotations`.
    """
    return cross_entropy(logits, _rotations(logits))


def _rotations(logits: Tensor) -> Tensor:
    return torch.arange(4, device=logits.device).repeat_interleave(len(logits) // 4)


class Rotation(Objective):
    """RotNet: a linear classifier recognizes the rotation of an image.

    https://arxiv.org/abs/1803.07728, eq. 2 and 3. It teaches little where images have no upright
    orientation, such as aerial images.
    """

    paper = "https://arxiv.org/abs/1803.07728"

    def __init__(self, encoder: Encoder, config: Config) -> None:
        super().__init__(encoder, config)
        refuse_signals(encoder, "rotation")
        self.head = nn.Linear(encoder.num_features, 4)

    @classmethod
    def views(cls, config: Config, size: int) -> tuple[View, ...]:
        """One upright view."""
        return (View(size, policy="upright"),)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss of all four rotations of each image, which worked best in the paper."""
        logits = self.head(self.encoder(four_rotations(batch.views[0])))
        metrics = {"rotation_accuracy": accuracy(logits, _rotations(logits))}
        return Output(rotation_loss(logits), metrics)
