"""The six transformations of signal-transformation recognition; time is the last axis.

Sarkar, Etemad, Self-supervised ECG Representation Learning for Emotion Recognition, 2020,
https://arxiv.org/abs/2002.03898, section 3.2. Sizes are those of its published code.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

NAMES = ("original", "noise", "scale", "negate", "flip", "permute", "warp")
_SNR, _FACTOR = 15.0, 1.1  # decibels, and what amplitudes are multiplied by
PIECES, STRETCHED, STRETCH = 20, 9, 1.05  # pieces to permute, and to stretch or squeeze
_EDGE = 1e-6  # of uniform numbers, before they become normal ones


def noisy(x: Tensor, draws: Tensor) -> Tensor:
    """Adds Gaussian noise at 15 dB below the power of each signal.

    Args:
        x: (B, C, H, T).
        draws: (B, C, H, T) uniform numbers.
    """
    normal = math.sqrt(2) * torch.erfinv(2 * draws.clamp(_EDGE, 1 - _EDGE) - 1)
    power = x.square().mean(dim=(2, 3), keepdim=True) * 10 ** (-_SNR / 10)
    return x + power.sqrt() * normal.to(x.dtype)


def permuted(x: Tensor, draws: Tensor) -> Tensor:
    """Cuts time into equal pieces and puts them in another order.

    Args:
        x: (B, C, H, T).
        draws: (B, pieces) uniform numbers; they are sorted.
    """
    steps = torch.arange(x.shape[3], device=x.device)
    piece = steps * draws.shape[1] // len(steps)
    place = draws.argsort(dim=1)[:, piece] * len(steps) + steps
    order = place.argsort(dim=1)[:, None, None]
    return x.gather(3, order.expand(-1, *x.shape[1:3], -1))


def warped(x: Tensor, draws: Tensor) -> Tensor:
    """Stretches half of the pieces by 1.05 and squeezes the others; cuts off, or fills with 0.

    Args:
        x: (B, C, H, T).
        draws: (B, pieces) uniform numbers; the smaller half is stretched.
    """
    length, pieces = x.shape[3], draws.shape[1]
    wide = draws.argsort(dim=1).argsort(dim=1) < math.ceil(pieces / 2)
    factors = draws.new_tensor([1 / STRETCH, STRETCH])
    sizes = factors[wide.long()] * (length / pieces)
    ends = sizes.cumsum(dim=1)
    steps = torch.arange(length, device=x.device, dtype=draws.dtype).repeat(len(x), 1)
    piece = torch.searchsorted(ends, steps, right=True).clamp(max=pieces - 1)
    begin = (ends - sizes).gather(1, piece)
    speed = (length / pieces) / sizes.gather(1, piece)
    at = (steps - begin) * speed + piece * (length / pieces)
    first = at.floor().clamp(0, length - 1)
    share = (at - first).clamp(0, 1).to(x.dtype)[:, None, None]
    left = first.long()[:, None, None].expand(-1, *x.shape[1:3], -1)
    right = (left + 1).clamp(max=length - 1)
    inside = (at <= length - 1)[:, None, None]
    return (x.gather(3, left) * (1 - share) + x.gather(3, right) * share) * inside


def versions(x: Tensor, noise: Tensor, order: Tensor, stretch: Tensor) -> Tensor:
    """Returns a signal and its six transformations, (B, 7, C, H, T), in the order of `NAMES`.

    Args:
        x: (B, C, H, T).
        noise: (B, C, H, T) uniform numbers.
        order: (B, 20) uniform numbers.
        stretch: (B, 9) uniform numbers.
    """
    stacked = (
        x,
        noisy(x, noise),
        _FACTOR * x,
        -x,
        x.flip(3),
        permuted(x, order),
        warped(x, stretch),
    )
    return torch.stack(stacked, dim=1)
