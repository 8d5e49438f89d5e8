"""Pictures of sound: the log-mel spectrogram. Time runs to the right, and frequency upwards."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

Reals = NDArray[np.float32]
FRAME, HOP = 0.025, 0.010  # seconds
LOWEST = 20.0  # Hz
FLOOR = -80.0  # dB; silence is no lower


def log_mel(x: Reals, rate: int, bands: int) -> Reals:
    """Computes the log-mel spectrogram of a waveform (n,), (bands, T), a column for every 10 ms.

    The power of frames of 25 ms (Hann window) is summed in triangular bands of equal width on the
    mel scale, from 20 Hz to half the rate. 0 dB is a sine of full scale; below -80 dB is silence.

    Args:
        x: (n,) samples, full scale is 1.
        rate: Sampling rate in Hz.
        bands: Number of bands.
    """
    transform, filters = _front_end(rate, bands)
    columns = max(1, round(len(x) / (HOP * rate)))
    padded = np.pad(x, (0, max(0, round(FRAME * rate) - len(x))))
    power = transform.spectrogram(padded.astype(np.float64), p0=0, p1=columns)
    decibels = 10 * np.log10(np.maximum(filters @ power, 10 ** (FLOOR / 10)))
    return np.ascontiguousarray(decibels[::-1], dtype=np.float32)


@lru_cache(maxsize=8)
def _front_end(rate: int, bands: int) -> tuple[ShortTimeFFT, NDArray[np.float64]]:
    """Returns the short-time Fourier transform and the mel filters of a sampling rate."""
    window = hann(round(FRAME * rate), sym=False)
    size = 2 * 2 ** int(np.ceil(np.log2(len(window))))  # fine enough for narrow bands
    transform = ShortTimeFFT(window, round(HOP * rate), rate, mfft=size)
    of_sine = size * (window**2).sum() / 4  # power of a sine of full scale, over all frequencies
    return transform, mel_filters(transform.f, bands, rate / 2) / of_sine


def mel_filters(frequencies: NDArray[np.float64], bands: int, top: float) -> NDArray[np.float64]:
    """Computes triangular filters of equal width on the mel scale, (bands, F), with peak 1.

    A mel is 2595 log10(1 + f / 700 Hz) (O'Shaughnessy 1987). A filter that no frequency falls into
    takes the nearest one.

    Args:
        frequencies: (F,) Hz.
        bands: Number of filters.
        top: Upper end of the last filter in Hz.
    """
    low, high = 2595 * np.log10(1 + np.array([LOWEST, top]) / 700)
    edges = 700 * (10 ** (np.linspace(low, high, bands + 2) / 2595) - 1)
    rise = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    filters = np.clip(np.minimum(rise, fall), 0, None)
    nearest = np.abs(frequencies - edges[1:-1, None]).argmin(axis=1)
    empty = filters.sum(axis=1) == 0
    filters[empty, nearest[empty]] = 1
    return filters
