"""Preprocessing of a signal: filter, sampling rate, reference, bad channels."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from ssl_kit import DataError

Reals = NDArray[np.float32]
_ORDER = 4
_OUTLIER = 10  # times the median deviation of the channels
_FEWEST = 4  # channels that are needed to call one an outlier


def bandpass(x: Reals, rate: float, low: float, high: float, mirrored: bool = False) -> Reals:
    """Applies a band-pass filter without phase shift (Butterworth, forward and backward).

    Args:
        x: (C, n).
        rate: Sampling rate in Hz.
        low: Lowest frequency in Hz; 0 keeps slow drifts.
        high: Highest frequency in Hz; at most 0.45 of the rate is used.
        mirrored: Whether the signal is continued as its mirror image. By default it is rotated
            about its last sample, which shifts it where a rhythm is cut in the middle of a wave.
    """
    sos = _filter(rate, low, min(high, 0.45 * rate))
    seconds, kind = (2, "even") if mirrored else (1, "odd")
    padding = min(x.shape[1] - 1, max(3 * (2 * len(sos) + 1), int(seconds * rate)))
    filtered = signal.sosfiltfilt(sos, x, axis=1, padtype=kind, padlen=padding)
    return np.asarray(filtered, dtype=np.float32)


@lru_cache(maxsize=32)
def _filter(rate: float, low: float, high: float) -> NDArray[np.float64]:
    if low >= high:
        raise DataError(f"has {rate:g} samples a second, too few for data.options.band")
    kind = "bandpass" if low else "lowpass"
    edges = [low, high] if low else high
    return np.asarray(signal.butter(_ORDER, edges, kind, fs=rate, output="sos"))


def is_fast(rate: float, lowest: float) -> bool:
    """Tells whether a rate in Hz is enough for a band that begins at a frequency in Hz."""
    return 0.45 * rate > lowest


def resampled(x: Reals, rate: float, to: float) -> Reals:
    """Changes the sampling rate; time 0 stays at the first sample.

    Args:
        x: (C, n).
        rate: Sampling rate in Hz.
        to: New sampling rate in Hz.
    """
    ratio = Fraction(to / rate).limit_denominator(1000)
    if ratio == 1:
        return x
    up, down = ratio.numerator, ratio.denominator
    return np.asarray(signal.resample_poly(x, up, down, axis=1, padtype="line"), dtype=np.float32)


def dead(x: Reals) -> NDArray[np.bool_]:
    """Tells which channels of a window (C, n) are constant or not finite, (C,)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(~(np.ptp(x, axis=1) > 0) | ~np.isfinite(x).all(axis=1))


def unlike(spread: Reals, bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tells which channels of a window are far larger or smaller than the good ones, (C,).

    Args:
        spread: (C,) standard deviations after the filter, so that drifts do not count.
        bad: (C,) channels that are known to be bad; at least 4 others are needed.
    """
    if (~bad).sum() < _FEWEST:
        return np.zeros_like(bad)
    usual = np.median(spread[~bad])
    return np.asarray((spread > _OUTLIER * usual) | (spread < usual / _OUTLIER**2))


def averaged(x: Reals, bad: NDArray[np.bool_]) -> Reals:
    """Subtracts the mean of all good channels (C, n): the average reference."""
    return x - x[~bad].mean(axis=0) if (~bad).any() else x
