"""The queue of features that serves as negatives, neighbors or support set."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from .distributed import all_gather


class FeatureQueue(nn.Module):
    """FIFO queue of L2-normalized features, newest first, initialized at random.

    Args:
        length: Number of features that are kept.
        width: D, the number of dimensions of a feature.
    """

    rows: Tensor
    pushed: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows", normalize(torch.randn(length, width), dim=1))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.long))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def full(self) -> bool:
        """Whether all random rows have been replaced by features."""
        return int(self.pushed) >= len(self)

    def forward(self) -> Tensor:
        """Returns a copy (length, D), so that a later push does not change what a loss has used."""
        return self.rows.clone()

    @torch.no_grad()
    def push(self, new: Tensor) -> None:
        """Enqueues the features (B, D) of all processes and drops the oldest ones."""
        new = all_gather(new.detach().to(self.rows.dtype))
        self.rows.copy_(torch.cat([new, self.rows])[: len(self)])
        self.pushed.add_(len(new))
