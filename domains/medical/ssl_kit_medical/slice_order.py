"""Tells which of two slices of a volume comes first, by a score that rises along the body.

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
from ssl_kit.nn import all_gather as gathered
from ssl_kit.nn import full_precision


def later(place: Tensor, volume: Tensor) -> Tensor:
    """Returns (n, n), True where slice i lies behind slice j of the same volume.

    Args:
        place: (n,) of a slice in its volume.
        volume: (n, K) numbers that two slices of one volume have in common.
    """
    same = (volume[:, None] == volume[None]).all(dim=2)
    return same & (place[:, None] > place[None])


@full_precision
def order_loss(scores: Tensor, pairs: Tensor) -> Tensor:
    """-log h(S(i) - S(j)), h the sigmoid, eq. 1; the mean over the pairs.

    The paper has the pairs of equidistant neighbors and a second loss for their distances; here
    slices are drawn at random, and all pairs count.

    Args:
        scores: (n,).
        pairs: (n, n), True where i lies behind j; somewhere at least.
    """
    return softplus(scores[None] - scores[:, None])[pairs].mean()


class SliceOrderConfig(Config):
    """Options of what is compared."""

    across: Annotated[
        bool,
        Field(
            description="compare slices of different volumes too, if all cover the same part of "
            "the body"
        ),
    ] = False


class SliceOrder(Objective):
    """Ordering of slices. Best with data.pair_by 'volume', which gives each slice another.

    A place is the last number of `Batch.positions`; slices with the same group and the same other
    numbers are of one volume. Where a dataset has no positions, its files are taken to be in order.
    """

    paper = "https://arxiv.org/abs/1707.03891"
    Config = SliceOrderConfig
    example = {"across": True}  # noqa: RUF012  a ClassVar of the base

    def __init__(self, encoder: Encoder, config: SliceOrderConfig) -> None:
        super().__init__(encoder, config)
        self.score = nn.Linear(encoder.num_features, 1, bias=False)

    @classmethod
    def views(cls, config: SliceOrderConfig, size: int) -> tuple[View, ...]:
        """Two views, so that a pairing can show a second slice; large crops, not turned."""
        return (View(size, scale=(0.6, 1.0), policy="upright"),) * 2

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """The loss over all pairs of slices of one volume, of all processes.

        Raises:
            UsageError: If there is no such pair.
        """
        views, place, volume = self._slices(batch)
        scores = gathered(self.score(self.encoder(torch.cat(views)))[:, 0])
        pairs = later(gathered(place), gathered(volume))
        if not bool(pairs.any()):
            raise UsageError(
                "No two images of a batch are slices of one volume. Give data.pair_by 'volume', "
                "a larger train.batch_size, or objective.across true; it takes DICOM series, NIfTI "
                "volumes, or files in order with a group for each volume."
            )
        right = (scores[:, None] > scores[None])[pairs].float().mean()
        return Output(order_loss(scores, pairs), {"order_accuracy": right.detach()})

    def _slices(self, batch: Batch) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """Returns views, and place and volume of what each of their rows shows."""
        where = [batch.positions if batch.positions.shape[1] else batch.indices[:, None].float()]
        partners = batch.partner_positions
        views = batch.views[:1] if partners is None else batch.views
        if partners is not None:
            where.append(partners if partners.shape[1] else where[0])
        joined = torch.cat(where)
        groups = batch.groups.repeat(len(where))[:, None].to(joined.dtype)
        volume = torch.cat([groups, joined[:, :-1]], dim=1)
        return views, joined[:, -1], volume * (0 if self.config.across else 1)
