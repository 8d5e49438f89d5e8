"""Hand-crafted descriptors of images (color, texture, gradients) and of signals (statistics).

Those of images are invariant to mirroring and to rotations by multiples of 90 degrees.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from .losses import full_precision

_SCALES = (1, 2, 4)  # pixels that are averaged
_COLOR_BINS, _PATTERN_BINS, _GRADIENT_BINS = 16, 10, 10
_OCTAVES = 6  # bands of the spectrum below the Nyquist frequency
_LEAST = 1e-12  # variance or power of a signal that does not change
# the eight neighbors clockwise: (row, column) in a window of 3 x 3 pixels
_NEIGHBORS = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))


def histogram(x: Tensor, low: float, high: float, bins: int) -> Tensor:
    """Computes normalized histograms (B, bins) of values (B, ...); each row has the sum 1.

    Values below `low` count in the first bin, and values above `high` in the last.
    """
    number = ((x.flatten(1) - low) * (bins / (high - low))).long().clamp_(0, bins - 1)
    rows = torch.arange(len(x), device=x.device)[:, None] * bins
    counts = torch.bincount((number + rows).flatten(), minlength=len(x) * bins)
    return counts.view(len(x), bins).to(x.dtype) / number.shape[1]


def _uniform_codes() -> Tensor:
    """Maps the 256 codes of 8 bits to their sum if at most two neighboring bits differ, else 9."""
    bits = torch.arange(256)[:, None] >> torch.arange(8) & 1
    changes = (bits != bits.roll(1, dims=1)).sum(dim=1)
    return torch.where(changes <= 2, bits.sum(dim=1), _PATTERN_BINS - 1)


def binary_patterns(y: Tensor) -> Tensor:
    """Computes uniform, rotation-invariant local binary patterns of the eight neighbors.

    Ojala, Pietikäinen, Mäenpää 2002, https://doi.org/10.1109/TPAMI.2002.1017623, eq. 10, with
    neighbors on the pixel grid instead of on a circle; borders are replicated.

    Args:
        y: (B, H, W).

    Returns:
        (B, H, W) integers from 0 to 9.
    """
    height, width = y.shape[1:]
    wide = pad(y[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    code = torch.zeros(y.shape, dtype=torch.uint8, device=y.device)
    for bit, (row, column) in enumerate(_NEIGHBORS):
        neighbor = wide[:, row : row + height, column : column + width]
        code += (neighbor >= y).to(torch.uint8) * (1 << bit)
    return _uniform_codes().to(y.device).take(code.long())


def gradient_magnitudes(y: Tensor) -> Tensor:
    """Computes the magnitude of central differences (B, H, W) of images (B, H, W)."""
    wide = pad(y[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]
    down = wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]
    return torch.hypot(across, down)


def number_of_descriptors(channels: int) -> int:
    """Returns D of `image_descriptors`: 16 C (twice as many if C > 1) + 60."""
    colors = _COLOR_BINS * channels * (2 if channels > 1 else 1)
    return colors + len(_SCALES) * (_PATTERN_BINS + _GRADIENT_BINS)


@full_precision
def image_descriptors(x: Tensor) -> Tensor:
    """Computes the square roots of histograms of color, texture and gradients of an image.

    The histograms are those of each channel, of each channel minus the mean of channels (if there
    are several), and at three scales those of the mean's local binary patterns and log gradients.

    Args:
        x: (B, C, H, W) standardized views; H may be 1.

    Returns:
        (B, D) in [0, 1], see `number_of_descriptors`.
    """
    gray = x.mean(dim=1)
    channels = list(x.unbind(dim=1))
    parts = [histogram(channel, -2.5, 2.5, _COLOR_BINS) for channel in channels]
    if len(channels) > 1:
        parts += [histogram(channel - gray, -1, 1, _COLOR_BINS) for channel in channels]
    for scale in _SCALES:
        window = (min(scale, x.shape[2]), min(scale, x.shape[3]))
        y = avg_pool2d(gray[:, None], window)[:, 0]
        parts.append(histogram(binary_patterns(y), 0, _PATTERN_BINS, _PATTERN_BINS))
        log_gradients = torch.log2(gradient_magnitudes(y) + 2**-6)
        parts.append(histogram(log_gradients, -6, 3, _GRADIENT_BINS))
    return torch.cat(parts, dim=1).sqrt()


def number_of_statistics(channels: int) -> int:
    """Returns D of `signal_descriptors`: 11 C."""
    return (5 + _OCTAVES) * channels


@full_precision
def signal_descriptors(x: Tensor) -> Tensor:
    """Computes statistics of each channel of a signal, as a classifier of signals is given them.

    They are the mean, the slope of the least-squares line (its rise over the window), the decimal
    logarithms of activity, mobility and complexity (Hjorth 1970,
    https://doi.org/10.1016/0013-4694(70)90143-4), and those of the share of the power in six
    octaves below the Nyquist frequency, the highest first, after the line was taken away.

    Args:
        x: (B, C, H, T) standardized views of at least 3 columns; the rows of a signal, mostly one,
            are averaged over.

    Returns:
        (B, D), see `number_of_statistics`.
    """
    length = x.shape[-1]
    time = torch.linspace(-0.5, 0.5, length, dtype=x.dtype, device=x.device)
    mean = x.mean(dim=-1)
    slope = (x * time).sum(dim=-1) / time.square().sum()
    first, second = x.diff(dim=-1), x.diff(n=2, dim=-1)
    activity, faster, fastest = (_variance(y) for y in (x, first, second))
    mobility = (faster / activity).sqrt()
    complexity = (fastest / faster).sqrt() / mobility
    moments = [torch.log10(y) for y in (activity, mobility, complexity)]
    flat = x - mean[..., None] - slope[..., None] * time
    parts = [mean, slope, *moments, *_octaves(flat)]
    return torch.stack(parts, dim=-1).mean(dim=2).flatten(1)


def _variance(y: Tensor) -> Tensor:
    return y.var(dim=-1, correction=0).clamp(min=_LEAST)


def _octaves(x: Tensor) -> list[Tensor]:
    """Returns the logarithms of the shares (B, C, H) of the power of x in each octave."""
    window = torch.hann_window(x.shape[-1], dtype=x.dtype, device=x.device)
    power = torch.fft.rfft(x * window).abs().square()
    bins = torch.arange(power.shape[-1], device=x.device) * 2 / x.shape[-1]  # 1: Nyquist frequency
    total = power.sum(dim=-1).clamp(min=_LEAST)
    shares = [
        power[..., (bins > 2.0**-n / 2) & (bins <= 2.0**-n)].sum(dim=-1) / total
        for n in range(_OCTAVES)
    ]
    return [torch.log10(share.clamp(min=1e-6)) for share in shares]
