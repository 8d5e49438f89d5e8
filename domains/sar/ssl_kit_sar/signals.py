"""Processing of a radar signal: intensity, multilooking, sub-looks, decibels.

Arrays are (H, W, P): range along the rows, azimuth along the columns, P polarizations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float32]
Complexes = NDArray[np.complexfloating]
RANGE_DB = 60.0  # from the lowest to the highest value of an image in decibels


def intensity(signal: NDArray[Any]) -> Reals:
    """Returns |z|^2 of a complex signal, float32."""
    power: Reals = signal.real**2 + signal.imag**2
    return power


def decibels(power: Reals) -> Reals:
    """Returns 10 log10 of intensities; -inf for 0."""
    with np.errstate(divide="ignore"):
        levels: Reals = 10 * np.log10(power)
    return levels


def multilook(power: Reals, looks: tuple[int, int]) -> Reals:
    """Averages intensities over `looks` (azimuth, range) pixels, without a remainder at the edges.

    Of fully developed speckle with independent pixels, L = azimuth x range looks remain with a
    coefficient of variation of 1 / sqrt(L).
    """
    along, across = looks
    if looks == (1, 1):
        return power
    h, w = power.shape[0] // across, power.shape[1] // along
    cells = power[: h * across, : w * along].reshape(h, across, w, along, -1)
    looked: Reals = cells.mean((1, 3), dtype=np.float32)
    return looked


def centroid(spectrum: Complexes, axis: int) -> int:
    """Returns the bin about which the power of a spectrum is centered: the Doppler centroid."""
    power = intensity(spectrum).sum(tuple(a for a in range(spectrum.ndim) if a != axis))
    turns = np.exp(2j * np.pi * np.arange(len(power)) / len(power))
    center = np.angle((power * turns).sum()) / (2 * np.pi) * len(power)
    return round(float(center))


def sublooks(signal: Complexes) -> Reals:
    """Splits the azimuth spectrum into two halves and detects each.

    The halves share no frequency, so their speckle is independent while the scene is the same, at
    half the azimuth resolution.

    Args:
        signal: (H, W, P) complex.

    Returns:
        (H, W, 2P) intensities: the first look of every polarization, then the second.
    """
    spectrum = np.fft.fft(signal, axis=1)
    start = centroid(spectrum, 1)
    spectrum = np.roll(spectrum, -start, axis=1)
    width = signal.shape[1]
    first, second = spectrum.copy(), spectrum
    first[:, width // 2 :] = 0
    second[:, : width // 2] = 0
    halves = [intensity(np.fft.ifft(half, axis=1)) for half in (first, second)]
    return np.concatenate(halves, axis=2).astype(np.float32)


def compand(signal: Complexes) -> NDArray[np.complex64]:
    """Replaces the amplitude by its level in the range of decibels and keeps the phase.

    Args:
        signal: Complex, relative to the highest amplitude of the range.

    Returns:
        u with |u| = 1 + 20 log10 |z| / RANGE_DB, clipped to [0, 1].
    """
    amplitude = np.abs(signal)
    level = np.clip(1 + 2 * decibels(amplitude) / RANGE_DB, 0, 1)
    companded: NDArray[np.complex64] = (signal * (level / np.maximum(amplitude, 1e-30))).astype(
        np.complex64
    )
    return companded


def expand(companded: Complexes) -> NDArray[np.complex64]:
    """Reverses `compand`; values that were clipped to 0 stay 0."""
    level = np.abs(companded)
    amplitude = np.where(level > 0, 10 ** ((level - 1) * (RANGE_DB / 20)), 0)
    return (companded * (amplitude / np.maximum(level, 1e-30))).astype(np.complex64)
