"""The queue of features that momentum-contrast methods compare with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from .distributed import all_gather


class FeatureQueue(nn.Module):
    """The newest rows of unit length that were pushed, newest first; random ones at the start.

    Args:
        length: Rows that are kept.
        width: D.
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
        """Whether all random rows are gone."""
        return int(self.pushed) >= len(self)

    def forward(self) -> Tensor:
        """Returns a copy (length, D): a later push leaves what a loss has used alone."""
        return self.rows.clone()

    @torch.no_grad()
    def push(self, new: Tensor) -> None:
        """Puts (B, D) of every process in front; the oldest rows fall off."""
        new = all_gather(new.detach().to(self.rows.dtype))
        self.rows.copy_(torch.cat([new, self.rows])[: len(self)])
        self.pushed.add_(len(new))
