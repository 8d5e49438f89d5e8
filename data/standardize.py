"""Turns loaded pixels into what the encoder gets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.dataset import Dataset
from ..core.objective import Batch
from .loader import RawBatch
from .pixels import full_scale


class Standardize:
    """Turns traveling pixels into what the encoder sees: (x - mean) / std, channels last.

    Args:
        mean: Per channel, of values in [0, 1].
        std: Per channel.
        device: Where to compute.
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], device: torch.device | str
    ) -> None:
        self.device = torch.device(device)
        self._mean = torch.tensor(mean, device=device)
        self._std = torch.tensor(std, device=device)

    def __call__(self, view: Tensor) -> Tensor:
        """Maps (B, H, W, C) uint8 or float32 to (B, C, H, W) float32."""
        unit = full_scale(view.dtype)
        x = view.to(self.device, non_blocking=True).to(torch.float32, copy=True).flatten(2)
        # Over rows of W * C values: over C alone it is not vectorized, and 20 times slower.
        width = view.shape[2]
        x.sub_((self._mean * unit).repeat(width)).div_((self._std * unit).repeat(width))
        return x.view(view.shape).permute(0, 3, 1, 2)


def to_batch(raw: RawBatch, dataset: Dataset, standardize: Standardize) -> Batch:
    """Moves a batch to the device and adds what the index knows."""
    rows = raw.indices.numpy()
    index = dataset.index
    of_partners = None if raw.partners is None else torch.from_numpy(index.positions[raw.partners])
    return Batch(
        views=tuple(standardize(view) for view in raw.views),
        indices=raw.indices.to(standardize.device),
        groups=torch.from_numpy(index.groups[rows]).to(standardize.device),
        positions=torch.from_numpy(index.positions[rows]).to(standardize.device),
        keys=tuple(index.key(i) for i in rows),
        frames=tuple(frame.to(standardize.device) for frame in raw.frames),
        partner_positions=None if of_partners is None else of_partners.to(standardize.device),
    )
