"""Slice ordering: a score that increases along the slices of a volume.

Unsupervised Body Part Regression via Spatially Self-ordering Convolutional Neural Networks,
Yan, Lu, Summers, 2018. https://arxiv.org/abs/1707.03891
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from ssl_kit import Batch, Config, Encoder, Objective, Output, UsageError, View
from ssl_kit.nn import all_gather, full_precision


def later(position: Tensor, volume: Tensor) -> Tensor:
    """Returns a matrix (n, n), True where slice i comes after slice j of the same volume.

    Args:
        position: (n,) position of each slice in its volume.
        volume: (n, K) numbers that are equal for slices of one volume.
    """
    same = (volume[:, None] == volume[None]).all(dim=2)
    return same & (position[:, None] > position[None])


@full_precision
def order_loss(scores: Tensor, pairs: Tensor) -> Tensor:
    """Computes the mean over pairs of -log h(S(i) - S(j)), with the sigmoid h, eq. 1.

    The paper has pairs of equidistant neighbors and a second loss on their distances; here slices
    are drawn at random, and all pairs count.

    Args:
        scores: (n,) scores of the slices (S).
        pairs: (n, n), True where i comes after j, for at least one pair.
    """
    return softplus(scores[None] - scores[:, None])[pairs].mean()


class SliceOrderConfig(Config):
    """Options of the pairs of slices."""

    across: Annotated[
        bool,
        Field(description="pairs of slices across volumes too, if all cover the same body part"),
    ] = False


class SliceOrder(Objective):
    """Slice ordering: a linear layer predicts a score that increases along the body axis.

    https://arxiv.org/abs/1707.03891, eq. 1. The position of a slice is the last column of
    `Batch.positions`; slices with the same group and the same other columns belong to one volume.
    The files of a dataset without positions are taken to be in order. Use it with data.pair_by
    'volume', which shows two slices of each volume.
    """

    paper = "https://arxiv.org/abs/1707.03891"
    Config = SliceOrderConfig
    example = {"across": True}  # noqa: RUF012  a ClassVar of the base

    def __init__(self, encoder: Encoder, config: SliceOrderConfig) -> None:
        super().__init__(encoder, config)
        self.score = nn.Linear(encoder.num_features, 1, bias=False)

    @classmethod
    def views(cls, config: SliceOrderConfig, size: int) -> tuple[View, ...]:
        """Two large upright views; a pairing shows a second slice."""
        return (View(size, scale=(0.6, 1.0), policy="upright"),) * 2

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss over all pairs of slices of one volume, of all processes.

        Raises:
            UsageError: If there is no such pair.
        """
        views, position, volume = self._slices(batch)
        scores = all_gather(self.score(self.encoder(torch.cat(views)))[:, 0])
        pairs = later(all_gather(position), all_gather(volume))
        if not bool(pairs.any()):
            raise UsageError(
                "No two images of a batch are slices of one volume. Give data.pair_by 'volume', "
                "a larger train.batch_size, or objective.across true; it takes DICOM series, NIfTI "
                "volumes, or files in order with a group for each volume."
            )
        accuracy = (scores[:, None] > scores[None])[pairs].float().mean()
        return Output(order_loss(scores, pairs), {"order_accuracy": accuracy.detach()})

    def _slices(self, batch: Batch) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """Returns the views, and position and volume of each slice in them."""
        positions = [
            batch.positions if batch.positions.shape[1] else batch.indices[:, None].float()
        ]
        partners = batch.partner_positions
        views = batch.views[:1] if partners is None else batch.views
        if partners is not None:
            positions.append(partners if partners.shape[1] else positions[0])
        joined = torch.cat(positions)
        groups = batch.groups.repeat(len(positions))[:, None].to(joined.dtype)
        volume = torch.cat([groups, joined[:, :-1]], dim=1)
        return views, joined[:, -1], volume * (0 if self.config.across else 1)
