"""Mean and standard deviation of each channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.dataset import Dataset
from ..core.encoder import Encoder
from ..core.errors import DataError
from ..core.index import evenly_spaced
from ..nn.checkpoints import facts_beside
from ..nn.weights import RGB
from .earlier import EarlierChannel, earlier_channels
from .pixels import full_scale

_PIECE = 2**16  # pixels


def pixel_statistics(dataset: Dataset, pool: Sequence[int] | np.ndarray[Any, Any]) -> Statistics:
    """Measures mean and standard deviation of each channel, of values in [0, 1], on 256 images."""
    chosen = np.asarray(pool)[evenly_spaced(len(pool), 256)]
    sums, squares, count = 0.0, 0.0, 0
    for i in chosen:
        try:
            image = dataset[int(i)].image
        except DataError:
            continue
        flat, scale = image.reshape(-1, image.shape[2]), np.float64(full_scale(image.dtype))
        for start in range(0, len(flat), _PIECE):  # else a large image is in memory eight times
            piece = flat[start : start + _PIECE] / scale
            sums, squares = sums + piece.sum(0), squares + (piece**2).sum(0)
        count += len(flat)
    if not count:
        raise DataError("None of the images looked at can be read; see the files themselves.")
    mean = np.asarray(sums) / count
    std = np.sqrt(np.maximum(np.asarray(squares) / count - mean**2, 1e-6))
    return Statistics(mean.round(6).tolist(), std.round(6).tolist())


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of each channel, of values in [0, 1].

    Attributes:
        mean: Of each channel.
        std: Of each channel.
        origin: Which channels have those of an earlier run, in words; "" if there is none.
    """

    mean: list[float]
    std: list[float]
    origin: str = ""


def statistics_for(
    encoder: Encoder, init: str, dataset: Dataset, pool: np.ndarray[Any, Any]
) -> Statistics:
    """Returns what the initial weights expect, else what is measured on the images.

    The weights of a run or an export expect its own figures in the channels of the same name and
    value range; other channels are measured. Of RGB weights a channel that is none of the three
    gets the mean of theirs. Measured figures would stretch images of little contrast: weights of
    ImageNet then told radar targets apart much worse.
    """
    facts = facts_beside(init)
    if facts:
        return _of_earlier(earlier_channels(facts), init, dataset, pool)
    expected = encoder.pretrained_statistics
    if init != "scratch" and expected is not None:
        named = [dict(zip(RGB, values, strict=True)) for values in expected]
        mean, std = ([of.get(c, sum(of.values()) / 3) for c in dataset.channels] for of in named)
        return Statistics(mean, std)
    return pixel_statistics(dataset, pool)


def _of_earlier(
    known: Mapping[str, EarlierChannel],
    init: str,
    dataset: Dataset,
    pool: np.ndarray[Any, Any],
) -> Statistics:
    """Takes the figures of the channels that are known, and measures those of the others."""
    ends = dict(zip(dataset.channels, dataset.value_range, strict=True))
    taken = {
        name: known[name]
        for name in dataset.channels
        if name in known and np.allclose(known[name].value_range, ends[name])
    }
    count, others = len(taken), len(dataset.channels) - len(taken)
    mean, std = {n: c.mean for n, c in taken.items()}, {n: c.std for n, c in taken.items()}
    if others:
        measured = pixel_statistics(dataset, pool)
        mean = dict(zip(dataset.channels, measured.mean, strict=True)) | mean
        std = dict(zip(dataset.channels, measured.std, strict=True)) | std
    origin = f"standardization of {count} channel{'s' * (count != 1)} taken from {init}"
    return Statistics(
        [mean[name] for name in dataset.channels],
        [std[name] for name in dataset.channels],
        origin + (f"; {others} measured" if others else ""),
    )
