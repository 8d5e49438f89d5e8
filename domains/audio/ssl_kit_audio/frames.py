"""The frames of an encoder: what it knows at each moment of a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool1d

from ssl_kit import Encoder, UsageError
from ssl_kit.evaluation import EvaluationData, Pretrained

Rows = NDArray[np.int64]


def check_recordings(data: EvaluationData) -> None:
    """Refuses images of a domain that reads no recordings: their columns are no frames.

    Raises:
        UsageError: With what to do.
    """
    if "audio_files" not in data.domain.datasets:
        name = data.domain.name
        raise UsageError(f"It needs recordings, and '{name}' reads none. Give --domain audio.")


def check_level(encoder: Encoder, level: int) -> None:
    """Refuses an encoder without the level of its pyramid that frames are taken from.

    Raises:
        UsageError: If the encoder has no pyramid, or not so many levels.
    """
    if "pyramid" not in encoder.provides:
        raise UsageError(f"'{encoder.name}' has no maps, so no frames. Choose another encoder.")
    levels = len(encoder.pyramid_shapes(encoder.image_size))
    if not -levels <= level < levels:
        raise UsageError(f"'{encoder.name}' has only {levels} levels; set level.")


def frames_of(encoder: Encoder, x: Tensor, level: int) -> Tensor:
    """Returns the columns of a map, averaged over frequencies: (B, T', D)."""
    return encoder.forward_pyramid(x)[level].mean(dim=2).mT


def heard(x: Tensor, frames: int) -> Tensor:
    """Tells which frames hold a signal: in the others the input is constant.

    Recordings that are shorter than a window are filled up with zeros, which say nothing.

    Args:
        x: (B, C, H, T) waveforms or pictures.
        frames: Number of frames that T is divided into.

    Returns:
        (B, frames), True where a value differs from the one before it.
    """
    differs = (x.diff(dim=3) != 0).flatten(1, 2).any(dim=1)
    return adaptive_max_pool1d(differs.to(x.dtype), frames) > 0


class _Flat(nn.Module):
    """Describes images by all frames at once, so that `embed` can be used."""

    def __init__(self, describe: Callable[[Tensor], Tensor], encoder: Encoder) -> None:
        super().__init__()
        self._describe, self.encoder, self.width = describe, encoder, 0

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, T' D)."""
        frames = self._describe(x)
        self.width = frames.shape[2]
        return frames.flatten(1)


def embed_frames(
    model: Pretrained,
    data: EvaluationData,
    positions: Rows,
    describe: Callable[[Tensor], Tensor],
) -> tuple[NDArray[np.float32], Rows]:
    """Describes the frames of windows.

    Args:
        model: The encoder with its preprocessing.
        data: The windows.
        positions: Those to describe.
        describe: Maps standardized images (B, C, H, W) to frames (B, T', D).

    Returns:
        (n, T', D), and the positions of the windows that could be read.
    """
    flat = _Flat(describe, model.encoder)
    with torch.no_grad():
        features, rows = data.embed(replace(model, encoder=cast(Encoder, flat)), positions)
    return features.reshape(len(features), -1, flat.width), rows
