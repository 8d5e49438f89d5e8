"""The demo: vowels of synthesized speakers, by a source and a filter (Fant 1960)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.signal import lfilter

from ssl_kit import Index

from .spectra import Reals
from .windows import Windows

_RATE, _SPEAKERS, _EACH = 16000, 16, 6  # Hz; clips of a vowel
_CASCADE = (60.0, 90.0, 150.0)  # bandwidths of the formants in Hz
# formants of men in Hz: Peterson and Barney 1952, https://doi.org/10.1121/1.1906875, table II
VOWELS: Mapping[str, tuple[float, float, float]] = {
    "a": (730, 1090, 2440),
    "ae": (660, 1720, 2410),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "u": (300, 870, 2240),
}


class Demo(Windows):
    """480 vowels of 1 s by 16 speakers: a, ae, e, i, u.

    They are synthesized, not recorded, and the same each time. A group is one speaker, with a
    pitch, a length of the vocal tract and a loudness of its own.
    """

    def prepare(self) -> None:
        """Names the clips of all speakers."""
        super().prepare()
        self.rate = _RATE
        each = len(VOWELS) * _EACH
        number = np.arange(_SPEAKERS * each)
        speakers = [f"speaker{n // each:02d}" for n in number]
        self.index = Index.build(
            [f"{name}/{n % each:02d}" for name, n in zip(speakers, number, strict=True)],
            labels=[list(VOWELS)[n % each // _EACH] for n in number],
            groups=speakers,
            positions=np.column_stack([number // each, number % each]),
        )

    def signal(self, i: int) -> Reals:
        """Returns clip i, (1, 16000), full scale is 1."""
        speaker, place = divmod(i, len(VOWELS) * _EACH)
        voice, rng = np.random.default_rng((5, speaker)), np.random.default_rng((6, i))
        pitch, tract = voice.uniform(90, 260), voice.uniform(0.85, 1.2)
        vowel = list(VOWELS.values())[place // _EACH]
        formants = tract * np.array(vowel) * rng.normal(1, 0.03, 3)
        sound = _vowel(formants, pitch * rng.normal(1, 0.05), rng)
        loudness = 10 ** (rng.uniform(-30, -6) / 20)
        hiss = 10 ** (rng.uniform(-50, -25) / 20) * rng.standard_normal(_RATE)
        return np.asarray(loudness * (sound + hiss)[None] / 4, dtype=np.float32)


def _vowel(formants: np.ndarray, pitch: float, rng: np.random.Generator) -> np.ndarray:
    """Synthesizes a vowel with a standard deviation of 1: pulses, falling by 12 dB an octave."""
    drift = np.interp(np.arange(_RATE), np.linspace(0, _RATE, 6), rng.normal(1, 0.03, 6))
    phase = np.cumsum(pitch * drift / _RATE)
    pulses = np.diff(np.floor(phase), prepend=0.0) + 0.05 * rng.standard_normal(_RATE)
    sound = lfilter([1.0], [1.0, -0.95], pulses)
    for formant, width in zip(formants, _CASCADE, strict=True):
        radius = np.exp(-np.pi * width / _RATE)
        poles = [1.0, -2 * radius * np.cos(2 * np.pi * formant / _RATE), radius**2]
        sound = lfilter([sum(poles)], poles, sound)
    begin, length = rng.uniform(0, 0.3), rng.uniform(0.4, 0.7)
    time = np.arange(_RATE) / _RATE
    envelope = np.clip(np.minimum(time - begin, begin + length - time) / 0.05, 0, 1)
    sound = (sound - sound.mean()) * envelope
    spoken: np.ndarray = sound / sound.std()
    return spoken
