"""The meaning of the values of a radar image, which the names of its channels tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_kit import Image
from ssl_kit.data import from_unit, to_unit

from .signals import RANGE_DB

Reals = NDArray[np.float32]


@dataclass(frozen=True)
class Meaning:
    """Positions of the channels of each kind.

    Attributes:
        decibels: Intensities in decibels: one unit of the image is RANGE_DB.
        real: Real parts, companded; see `signals.compand`.
        imag: The imaginary parts that belong to them.
        amplitude: All others.
    """

    decibels: tuple[int, ...]
    real: tuple[int, ...]
    imag: tuple[int, ...]
    amplitude: tuple[int, ...]

    @classmethod
    def of(cls, channels: Sequence[str]) -> Meaning:
        """Sorts channels by the end of their names: _db, _real, _imag or anything else."""
        ends = [name.rpartition("_")[2] for name in channels]
        places = {kind: tuple(np.flatnonzero(np.array(ends) == kind).tolist()) for kind in _ENDS}
        if len(places["real"]) != len(places["imag"]):
            places["real"] = places["imag"] = ()
        known = {c for of_kind in places.values() for c in of_kind}
        others = tuple(c for c in range(len(ends)) if c not in known)
        return cls(places["db"], places["real"], places["imag"], others)


_ENDS = ("db", "real", "imag")


def amplify(image: Image, decibels: Reals, channels: Sequence[str]) -> Image:
    """Multiplies the intensity of an image, whatever its values mean; 0 stays 0.

    Args:
        image: (H, W, C), uint8 or float32 in [0, 1].
        decibels: Gain, (H, W, C) or what broadcasts to it. Of a complex channel that of its real
            part counts.
        channels: Names of the C channels.
    """
    kinds, unit = Meaning.of(channels), to_unit(image)
    gain = np.broadcast_to(decibels, unit.shape)
    if kinds.amplitude:
        at = list(kinds.amplitude)
        unit[..., at] *= 10 ** (gain[..., at] / 20)
    if kinds.decibels:
        at = list(kinds.decibels)
        unit[..., at] += np.where(unit[..., at] > 0, gain[..., at] / np.float32(RANGE_DB), 0)
    if kinds.real:
        phasor = phasors(unit, kinds)
        level = np.abs(phasor)
        raised = np.clip(level + gain[..., list(kinds.real)] / RANGE_DB, 0, 1)
        put_phasors(unit, phasor * (raised / np.maximum(level, 1e-12)), kinds)
    return from_unit(unit, image)


def phasors(unit: Reals, kinds: Meaning) -> NDArray[np.complex64]:
    """Returns the companded complex values of an image, (H, W, P)."""
    real, imag = unit[..., list(kinds.real)], unit[..., list(kinds.imag)]
    return ((2 * real - 1) + 1j * (2 * imag - 1)).astype(np.complex64)


def put_phasors(unit: Reals, phasor: NDArray[np.complex64], kinds: Meaning) -> None:
    """Writes companded complex values into an image."""
    unit[..., list(kinds.real)] = (phasor.real + 1) / 2
    unit[..., list(kinds.imag)] = (phasor.imag + 1) / 2


def to_intensity(unit: Reals, kinds: Meaning) -> Reals:
    """Returns intensities relative to the highest value, of all but complex channels."""
    power = unit**2
    at = list(kinds.decibels)
    power[..., at] = np.where(unit[..., at] > 0, 10 ** ((unit[..., at] - 1) * (RANGE_DB / 10)), 0)
    return power


def from_intensity(power: Reals, kinds: Meaning) -> Reals:
    """Reverses `to_intensity`."""
    unit = np.sqrt(power)
    at = list(kinds.decibels)
    level = 10 * np.log10(np.maximum(power[..., at], 1e-12))
    unit[..., at] = np.where(power[..., at] > 0, np.clip(1 + level / RANGE_DB, 0, 1), 0)
    return unit
