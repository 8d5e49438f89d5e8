"""Tells by which multiple of 90 degrees an image was turned.

Unsupervised Representation Learning by Predicting Image Rotations,
Gidaris, Singh, Komodakis, 2018. https://arxiv.org/abs/1803.07728
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import full_precision


def four_rotations(x: Tensor) -> Tensor:
    """Turns each image by 0, 90, 180 and 270 degrees: (B, C, S, S) to (4B, C, S, S), turn first."""
    return torch.cat([x.rot90(k, dims=(2, 3)) for k in range(4)])


@full_precision
def rotation_loss(logits: Tensor) -> Tensor:
    """Cross entropy over the four rotations, eq. 2 and 3.

    Args:
        logits: (4B, 4); rows as `four_rotations` puts them.
    """
    return cross_entropy(logits, _turns(logits))


def _turns(logits: Tensor) -> Tensor:
    return torch.arange(4, device=logits.device).repeat_interleave(len(logits) // 4)


class Rotation(Objective):
    """Rotation prediction; of little use where images have no upright, such as from above."""

    paper = "https://arxiv.org/abs/1803.07728"

    def __init__(self, encoder: Encoder, config: Config) -> None:
        super().__init__(encoder, config)
        self.head = nn.Linear(encoder.num_features, 4)

    @classmethod
    def views(cls, config: Config, size: int) -> tuple[View, ...]:
        """One view that is not itself turned."""
        return (View(size, policy="upright"),)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """All four rotations of each image at once, as the paper found best."""
        logits = self.head(self.encoder(four_rotations(batch.views[0])))
        accuracy = (logits.argmax(dim=1) == _turns(logits)).float().mean()
        return Output(rotation_loss(logits), {"rotation_accuracy": accuracy.detach()})
