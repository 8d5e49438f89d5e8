"""Which windows of a batch are of one recording, and when: what tasks about time share."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ssl_kit import Batch, UsageError
from ssl_kit.nn import all_gather, rand_shared

_PATIENCE = 100  # batches in a row without what a task needs
_PER_ROW = 16  # pairs or triples that are used, of each window


class Moments(NamedTuple):
    """Rows of a batch.

    Attributes:
        views: To be encoded; together n rows.
        time: (n,) seconds from the start of the recording.
        recording: (n, K) numbers that windows of one recording have in common.
    """

    views: tuple[Tensor, ...]
    time: Tensor
    recording: Tensor


def moments_of(batch: Batch) -> Moments:
    """Returns the windows of a batch, and the partners that `data.pair_by` gave them.

    Time is the last number of `Batch.positions`, and windows with the same group and the same other
    numbers are of one recording. Where a dataset has no positions, its images are taken to follow
    each other in one recording, a second apart.
    """
    if not batch.positions.shape[1]:
        time = batch.indices.to(batch.views[0].dtype)
        return Moments(batch.views[:1], time, time.new_zeros(len(time), 1))
    where = [batch.positions]
    partners = batch.partner_positions
    views = batch.views[:1] if partners is None else batch.views[:2]
    if partners is not None:
        where.append(partners)
    joined = torch.cat(where)
    groups = batch.groups.repeat(len(where))[:, None].to(joined.dtype)
    return Moments(views, joined[:, -1], torch.cat([groups, joined[:, :-1]], dim=1))


def gathered(moments: Moments, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns features, time and recording of the rows of all processes."""
    return all_gather(features), all_gather(moments.time), all_gather(moments.recording)


def some(chosen: Tensor, rows: int, like: Tensor) -> Tensor:
    """Draws up to 16 times as many tuples as there are windows, the same in every process.

    Args:
        chosen: (m, k) tuples of windows.
        rows: n.
        like: Gives device and type.
    """
    most = _PER_ROW * rows
    if len(chosen) <= most:
        return chosen
    return chosen[rand_shared(len(chosen), like=like).argsort()[:most]]


class Supply(nn.Module):
    """Counts batches in a row that have nothing to learn from, and stops when they are many."""

    lacking: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("lacking", torch.zeros((), dtype=torch.long))

    def check(self, found: bool, wanted: str) -> None:
        """Counts.

        Args:
            found: Whether this batch had what is needed.
            wanted: What that is.

        Raises:
            UsageError: If 100 batches in a row had not.
        """
        self.lacking = torch.zeros_like(self.lacking) if found else self.lacking + 1
        if int(self.lacking) >= _PATIENCE:
            raise UsageError(
                f"{_PATIENCE} batches in a row have no {wanted}. Give objective.close and "
                "objective.far that suit the length of the recordings, data.pair_by 'recording', "
                "or a larger train.batch_size."
            )
