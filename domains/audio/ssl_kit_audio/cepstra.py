"""Mel-frequency cepstral coefficients of views, in torch: the first targets of HuBERT."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d, pad

from .spectra import mel_filters

COEFFICIENTS = 13
_BANDS, _FLOOR, _LONGEST = 40, 1e-6, 4096
_SLOPE = 2  # frames on each side that a delta is fitted to


def mfcc(x: Tensor, frames: int, rate: int) -> Tensor:
    """Computes 13 cepstral coefficients of frames, with deltas and delta-deltas: (B, frames, 39).

    Davis, Mermelstein 1980, https://doi.org/10.1109/TASSP.1980.1163420; HuBERT (Hsu et al. 2021,
    https://arxiv.org/abs/2106.07447), section IV-B. Of waveforms the power of 40 mel bands is taken
    in Hann windows of two and a half frames, each centered on its frame; of log-mel pictures the
    rows are the bands.

    Args:
        x: (B, C, 1, T) waveforms, or (B, C, H, W) log-mel pictures with high frequencies on top;
            channels are averaged.
        frames: Number of frames.
        rate: Sampling rate of waveforms in Hz.
    """
    mono = x.float().mean(dim=1)
    bands = _log_mel(mono[:, 0], frames, rate) if x.shape[2] == 1 else mono.flip(1)
    bands = adaptive_avg_pool1d(bands, frames)  # (B, bands, frames)
    cosines = _cosines(bands.shape[1]).to(bands)
    static = torch.einsum("kb,nbt->nkt", cosines, bands)
    first = deltas(static)
    return torch.cat([static, first, deltas(first)], dim=1).transpose(1, 2)


def deltas(x: Tensor) -> Tensor:
    """Computes slopes over time of (B, K, T), fitted to two frames on each side."""
    wide = pad(x, (_SLOPE, _SLOPE), mode="replicate")
    weights = range(1, _SLOPE + 1)
    slopes = sum(
        n
        * (wide[..., _SLOPE + n :][..., : x.shape[2]] - wide[..., _SLOPE - n :][..., : x.shape[2]])
        for n in weights
    )
    return torch.as_tensor(slopes) / (2 * sum(n * n for n in weights))


def _log_mel(x: Tensor, frames: int, rate: int) -> Tensor:
    """Returns the log power in mel bands of (B, T) samples, (B, bands, frames)."""
    hop = math.ceil(x.shape[1] / frames)
    length = min(max(16, round(2.5 * hop)), _LONGEST)
    size = 2 ** math.ceil(math.log2(length))
    window = torch.hann_window(length, device=x.device)
    before = (size - hop) // 2  # below 0 where a window is shorter than a frame
    padded = pad(x, (before, (frames - 1) * hop + size - before - x.shape[1]))
    spectrum = torch.stft(padded, size, hop, length, window, center=False, return_complex=True)
    filters = torch.from_numpy(_filters(size, rate)).to(x)
    return torch.log(filters @ spectrum.abs().square() + _FLOOR)


@lru_cache(maxsize=8)
def _filters(size: int, rate: int) -> np.ndarray:
    frequencies = np.fft.rfftfreq(size, 1 / rate).astype(np.float64)
    return mel_filters(frequencies, _BANDS, rate / 2).astype(np.float32)


def _cosines(bands: int) -> Tensor:
    """Returns the first rows of the orthogonal discrete cosine transform, (13, bands)."""
    k, n = torch.arange(COEFFICIENTS)[:, None], torch.arange(bands)
    cosines = torch.cos(math.pi / bands * (n + 0.5) * k) * math.sqrt(2 / bands)
    cosines[0] /= math.sqrt(2)
    return cosines
