"""Pictures of a signal: spectrograms, scalograms and maps of the scalp.

In pictures of time and frequency, time runs to the right and frequency upwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import mne
import numpy as np
from numpy.typing import NDArray
from scipy import interpolate
from scipy import signal as scipy_signal

from ssl_kit import Image

Reals = NDArray[np.float32]
BANDS: Mapping[str, tuple[float, float]] = {
    "delta": (1, 4),
    "theta": (4, 8),
    "alpha": (8, 13),
    "beta": (13, 30),
    "gamma": (30, 45),
}
LOWEST, HIGHEST = 1.0, 45.0  # Hz
_FLOOR = 1e-3  # microvolt^2 per Hz, added before decibels: below the noise of an amplifier
_COLUMNS = 64  # of a picture, about
_MEL, _SCALES = 32, 40  # rows
_CORNER = 7.0  # Hz, from where the mel-like scale is logarithmic; of hearing it is 700
_CYCLES = 5.0  # of a Morlet wavelet
_MAP = 64  # pixels


def decibels(power: NDArray[np.float64]) -> Reals:
    """Turns power in microvolt^2 per Hz into decibels."""
    return np.asarray(10 * np.log10(np.maximum(power, 0) + _FLOOR), dtype=np.float32)


def highest(rate: float) -> float:
    """Returns the highest frequency of a picture in Hz."""
    return min(HIGHEST, 0.45 * rate)


def _density(
    x: Reals, rate: float, pad: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns frequencies (F,) and power density (C, F, T) over a second at a time."""
    n = x.shape[1]
    length = min(round(rate), n // 2)
    hop = max(1, (n - length) // (_COLUMNS - 1))
    frequencies, _, power = scipy_signal.spectrogram(
        x, rate, "hann", length, length - hop, nfft=pad * length, detrend="constant"
    )
    return frequencies, power


def spectrogram(x: Reals, rate: float) -> Image:
    """Returns the log power of the short-time Fourier transform, (F, T, C), a row for each Hz.

    Args:
        x: (C, n) microvolts.
        rate: Hz.
    """
    frequencies, power = _density(x, rate)
    shown = (frequencies >= LOWEST) & (frequencies <= highest(rate))
    return _upright(decibels(power[:, shown]))


def mel(x: Reals, rate: float) -> Image:
    """Returns the log power in 32 overlapping bands that widen with frequency, (32, T, C).

    Args:
        x: (C, n) microvolts.
        rate: Hz.
    """
    frequencies, power = _density(x, rate, pad=4)
    weights = mel_bands(frequencies, highest(rate))
    return _upright(decibels(np.einsum("bf,cft->cbt", weights, power)))


def mel_bands(frequencies: NDArray[np.float64], top: float) -> NDArray[np.float64]:
    """Returns triangular filters of equal width on the scale ln(1 + f / 7 Hz), (32, F).

    Each filter sums to 1.

    Args:
        frequencies: (F,) Hz.
        top: Upper end of the last filter in Hz.
    """
    low, high = np.log1p(LOWEST / _CORNER), np.log1p(top / _CORNER)
    edges = np.expm1(np.linspace(low, high, _MEL + 2)) * _CORNER
    rise = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    bands = np.clip(np.minimum(rise, fall), 0, None)
    nearest = np.abs(frequencies - edges[1:-1, None]).argmin(axis=1)
    empty = bands.sum(axis=1) == 0  # narrower than the distance of two frequencies
    bands[empty, nearest[empty]] = 1
    normal: NDArray[np.float64] = bands / bands.sum(axis=1, keepdims=True)
    return normal


def scalogram(x: Reals, rate: float) -> Image:
    """Returns the log power of a transform with Morlet wavelets of 5 cycles, (40, T, C).

    Slow wavelets have fewer cycles if five do not fit into the window.

    Args:
        x: (C, n) microvolts.
        rate: Hz.
    """
    seconds = x.shape[1] / rate
    frequencies = np.geomspace(max(LOWEST, 2 / seconds), highest(rate), _SCALES)
    power = mne.time_frequency.tfr_array_morlet(
        x[None].astype(np.float64),
        rate,
        frequencies,
        n_cycles=np.minimum(_CYCLES, 0.6 * frequencies * seconds),
        output="power",
        decim=max(1, x.shape[1] // _COLUMNS),
        verbose="ERROR",
    )[0]
    return _upright(decibels(power / rate))


def _upright(picture: Reals) -> Image:
    """Turns (C, F, T) into (F, T, C) with the highest frequency on top."""
    return np.ascontiguousarray(picture[:, ::-1].transpose(1, 2, 0))


def band_powers(x: Reals, rate: float) -> Reals:
    """Returns the log power in the five bands of EEG, (C, 5) decibels.

    Args:
        x: (C, n) microvolts.
        rate: Hz.
    """
    length = min(2 * round(rate), x.shape[1])
    frequencies, power = scipy_signal.welch(x, rate, nperseg=length)
    means = []
    for low, high in BANDS.values():
        inside = (frequencies >= low) & (frequencies < high)
        means.append(power[:, inside].mean(axis=1) if inside.any() else np.zeros(len(x)))
    return decibels(np.stack(means, axis=1))


def topography(x: Reals, rate: float, weights: Reals) -> Image:
    """Returns maps of the scalp from above, one for each band, (64, 64, 5); NaN outside.

    After Bashivan et al. 2016, https://arxiv.org/abs/1511.06448, section 3.1.

    Args:
        x: (C, n) microvolts.
        rate: Hz.
        weights: (64 * 64, C), see `map_weights`.
    """
    return np.asarray(weights @ band_powers(x, rate), dtype=np.float32).reshape(_MAP, _MAP, -1)


def map_weights(places: NDArray[np.float64]) -> Reals:
    """Returns the weight of each electrode in each pixel of a map, (64 * 64, C).

    A thin-plate spline through the electrodes, which is linear in their values.

    Args:
        places: (C, 2) positions of at least 4 electrodes, see `electrodes.flat`.
    """
    return _map_weights(places.tobytes())


@lru_cache(maxsize=8)
def _map_weights(packed: bytes) -> Reals:
    places = np.frombuffer(packed).reshape(-1, 2)
    edge = 1.1 * float(np.linalg.norm(places, axis=1).max())
    line = (np.arange(_MAP) + 0.5) / _MAP * 2 * edge - edge
    pixels = np.stack(np.meshgrid(line, line[::-1]), axis=-1).reshape(-1, 2)
    spline = interpolate.RBFInterpolator(places, np.eye(len(places)), smoothing=1e-6)
    weights = np.asarray(spline(pixels), dtype=np.float32)
    weights[np.linalg.norm(pixels, axis=1) > edge] = np.nan
    return weights
