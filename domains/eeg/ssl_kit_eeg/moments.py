"""Recording and time of the windows of a batch, for pretext tasks on temporal order."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ssl_kit import Batch, UsageError
from ssl_kit.nn import all_gather, rand_shared

_PATIENCE = 100  # consecutive batches without a usable pair or triple
_PER_ROW = 16  # maximum number of pairs or triples per window


class Moments(NamedTuple):
    """The windows of a batch with their time and recording.

    Attributes:
        views: Views to encode, n windows in total.
        time: (n,) seconds from the start of the recording.
        recording: (n, K) numbers that are equal for windows of one recording.
    """

    views: tuple[Tensor, ...]
    time: Tensor
    recording: Tensor


def moments_of(batch: Batch) -> Moments:
    """Returns the windows of a batch, including partners that `data.pair_by` provides.

    Time is the last column of `Batch.positions`. Windows with the same group and the same other
    columns belong to one recording. The images of a dataset without positions are taken as
    consecutive windows of one recording, a second apart.
    """
    if not batch.positions.shape[1]:
        time = batch.indices.to(batch.views[0].dtype)
        return Moments(batch.views[:1], time, time.new_zeros(len(time), 1))
    positions = [batch.positions]
    partners = batch.partner_positions
    views = batch.views[:1] if partners is None else batch.views[:2]
    if partners is not None:
        positions.append(partners)
    joined = torch.cat(positions)
    groups = batch.groups.repeat(len(positions))[:, None].to(joined.dtype)
    return Moments(views, joined[:, -1], torch.cat([groups, joined[:, :-1]], dim=1))


def gathered(moments: Moments, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gathers features, time and recording of the windows of all processes."""
    return all_gather(features), all_gather(moments.time), all_gather(moments.recording)


def some(chosen: Tensor, rows: int, like: Tensor) -> Tensor:
    """Draws a random subset of pairs or triples, at most 16 per window, the same in every process.

    Args:
        chosen: (m, k) indices of windows.
        rows: Number of windows (n).
        like: Tensor that gives device and type.
    """
    most = _PER_ROW * rows
    if len(chosen) <= most:
        return chosen
    return chosen[rand_shared(len(chosen), like=like).argsort()[:most]]


class Supply(nn.Module):
    """Counts consecutive batches without usable pairs, and stops the training after 100 of them."""

    lacking: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("lacking", torch.zeros((), dtype=torch.long))

    def check(self, usable: bool, wanted: str) -> None:
        """Counts a batch.

        Args:
            usable: Whether the batch has pairs of both classes.
            wanted: Description of the pairs, for the message.

        Raises:
            UsageError: If 100 consecutive batches are not usable.
        """
        self.lacking = torch.zeros_like(self.lacking) if usable else self.lacking + 1
        if int(self.lacking) >= _PATIENCE:
            raise UsageError(
                f"{_PATIENCE} batches in a row have no {wanted}. Give objective.close and "
                "objective.far that suit the length of the recordings, data.pair_by 'recording', "
                "or a larger train.batch_size."
            )
