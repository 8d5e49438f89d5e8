"""Simulates EEG: sources in a spherical head, noise and blinks.

Lengths are shares of the head's radius; potentials are microvolts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .electrodes import standard

Floats = NDArray[np.float64]
ELECTRODES = ("F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")
STATES = ("eyes_open", "eyes_closed", "sleep", "seizure")
RATE, SECONDS = 128.0, 5.0
SAMPLES = int(RATE * SECONDS)
_DEPTH = 0.6  # of sources, as a share of the radius
_BACKGROUND, _LEVEL = 24, 12.0  # sources, and what each causes right above it
_AT = {  # right, front, up
    "occipital": ((-0.3, -0.9, 0.3), (0.3, -0.9, 0.3)),
    "central": ((-0.6, 0.0, 0.8), (0.6, 0.0, 0.8)),
    "frontal": ((-0.4, 0.7, 0.6), (0.4, 0.7, 0.6)),
    "eyes": ((-0.3, 1.0, -0.1), (0.3, 1.0, -0.1)),
}


@dataclass(frozen=True)
class Subject:
    """Properties of one subject that are the same in all windows.

    Attributes:
        alpha: Peak frequency of the occipital rhythm in Hz.
        strength: Strength of that rhythm; 1 is usual.
        slope: Exponent with which the power of the background decreases with frequency.
        skull: Factor of the potentials of all sources in the brain.
        places: (24, 3) positions of the background sources.
    """

    alpha: float
    strength: float
    slope: float
    skull: float
    places: Floats


def draw_subject(rng: np.random.Generator) -> Subject:
    """Draws a subject."""
    places = rng.normal(size=(_BACKGROUND, 3))
    places[:, 2] = np.abs(places[:, 2])
    return Subject(
        alpha=rng.normal(10, 0.8),
        strength=rng.lognormal(0, 0.4),
        slope=rng.normal(1.2, 0.2),
        skull=rng.lognormal(0, 0.2),
        places=places,
    )


def record(person: Subject, state: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Returns a window of a subject in a state, (8, 640) microvolts."""
    frequency = np.asarray(np.fft.rfftfreq(SAMPLES, 1 / RATE), np.float64)
    falling = np.maximum(frequency, 0.5) ** (-person.slope / 2)
    asleep, closed = state == "sleep", state == "eyes_closed"
    x = _LEVEL * _through(person.places, _noise(falling, rng, _BACKGROUND))
    alpha = person.strength * {"eyes_closed": 14, "eyes_open": 5}.get(state, 1.5)
    x += _at("occipital", _rhythm(frequency, person.alpha, 1.0, rng, 2), alpha)
    x += _at("central", _rhythm(frequency, rng.uniform(17, 23), 3.0, rng, 2), 2.5)
    if asleep:
        x += _at("frontal", _rhythm(frequency, 1.2, 0.6, rng, 2), rng.uniform(12, 30))
        x += _at("central", _spindle(rng), rng.uniform(5, 15))
    if state == "seizure":
        x += _at("frontal", np.tile(spike_and_wave(rng.uniform(2.6, 3.6), rng), (2, 1)), 120)
    x *= person.skull
    if not asleep and rng.random() < (0.2 if closed else 0.6):
        x += _at("eyes", np.tile(_bump(rng.uniform(0.5, 4.5), 0.1), (2, 1)), 60)
    muscle = rng.lognormal(-0.5, 0.6) * _noise(np.clip((frequency - 15) / 15, 0, 1), rng, len(x))
    return (x + muscle + rng.normal(0, 0.7, x.shape)).astype(np.float32)


def _through(places: Floats, currents: Floats) -> Floats:
    """Returns the potentials of radial dipoles (n, 3) with currents (n, T) at electrodes, (8, T).

    V = q . (r - r0) / |r - r0|^3 in a homogeneous conductor, scaled so that the electrode
    directly above a source measures its current.
    """
    where = np.array([standard()[name] for name in ELECTRODES])
    where /= np.linalg.norm(where, axis=1, keepdims=True)
    out = places / np.linalg.norm(places, axis=1, keepdims=True)
    apart = where[:, None] - _DEPTH * out[None]
    field = (apart * out).sum(axis=2) / np.linalg.norm(apart, axis=2) ** 3
    potentials: Floats = field * (1 - _DEPTH) ** 2 @ currents
    return potentials


def _at(region: str, currents: Floats, microvolts: float) -> Floats:
    return microvolts * _through(np.array(_AT[region]), currents)


def _noise(spectrum: Floats, rng: np.random.Generator, count: int) -> Floats:
    """Draws Gaussian noise of an amplitude spectrum, (count, T), of unit variance."""
    phases = rng.normal(size=(count, len(spectrum))) + 1j * rng.normal(size=(count, len(spectrum)))
    x = np.fft.irfft(phases * spectrum, SAMPLES)
    unit: Floats = x / x.std(axis=1, keepdims=True)
    return unit


def _rhythm(
    frequency: Floats, peak: float, width: float, rng: np.random.Generator, count: int
) -> Floats:
    """Draws a rhythm: noise in a band about a peak, whose amplitude varies."""
    return _noise(np.exp(-0.5 * ((frequency - peak) / width) ** 2), rng, count)


def _spindle(rng: np.random.Generator) -> Floats:
    """Returns a burst of 12 to 14 Hz for about a second in both hemispheres, (2, T)."""
    time = np.arange(SAMPLES) / RATE
    burst = _bump(rng.uniform(1, 4), 0.35) * np.sin(2 * np.pi * rng.uniform(12, 14) * time)
    return np.tile(burst, (2, 1))


def _bump(middle: float, width: float) -> Floats:
    """Returns a Gaussian in time, (T,); middle and width in seconds."""
    bump: Floats = np.exp(-0.5 * ((np.arange(SAMPLES) / RATE - middle) / width) ** 2)
    return bump


def spike_and_wave(rate: float, rng: np.random.Generator) -> Floats:
    """Returns a sharp spike and a slow wave, `rate` times a second, (T,)."""
    phase = (np.arange(SAMPLES) / RATE * rate + rng.random()) % 1
    spike = np.exp(-0.5 * ((phase - 0.15) / 0.03) ** 2)
    wave = np.where(phase > 0.3, np.sin(np.pi * (phase - 0.3) / 0.7), 0)
    train: Floats = spike - 0.6 * wave
    train -= train.mean()
    return train
