"""Simulates images of vehicles on grass by a radar with synthetic aperture.

Lengths are meters; ground range y grows away from the radar, which is at the bottom of an image;
azimuth x to the right; z up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SIZE = 64
SPACING = 0.3  # meters from pixel to pixel
_RESOLVED = 0.75  # bandwidth as a share of the sampling rate: 0.4 m resolution
_FINER = 4  # by which the outline of the shadow is finer than pixels

# Boxes: center along and across the vehicle, length, width, lowest and highest point. Roughly the
# sizes of such vehicles.
Box = tuple[float, float, float, float, float, float]
VEHICLES: Mapping[str, tuple[Box, ...]] = {
    "bulldozer": (
        (0.0, 0, 4.0, 2.6, 0.3, 1.6),
        (-0.4, 0, 1.6, 1.8, 1.6, 3.0),
        (2.5, 0, 0.4, 3.8, 0.0, 1.3),
    ),
    "carrier": ((0.0, 0, 6.6, 2.8, 0.4, 2.1), (0.6, 0, 1.2, 1.2, 2.1, 2.5)),
    "howitzer": (
        (-0.3, 0, 6.2, 2.8, 0.4, 1.8),
        (-1.2, 0, 2.8, 2.5, 1.8, 2.7),
        (2.6, 0, 3.4, 0.3, 2.0, 2.3),
    ),
    "tank": (
        (0.0, 0, 6.6, 3.3, 0.4, 1.5),
        (-0.2, 0, 2.6, 2.4, 1.5, 2.3),
        (3.4, 0, 4.4, 0.3, 1.7, 2.0),
    ),
    "truck": (
        (2.2, 0, 1.9, 2.4, 0.6, 2.6),
        (-1.0, 0, 4.2, 2.5, 0.9, 1.5),
        (3.5, 0, 0.9, 2.2, 0.6, 1.7),
    ),
}


@dataclass(frozen=True)
class Vehicle:
    """A vehicle: boxes, and scatterers on their faces.

    Attributes:
        boxes: (b, 6), see `Box`.
        places: (s, 3) along, across and up, of the scatterers.
        normals: (s, 2) horizontal directions that their faces look at; (0, 0) on top.
        strengths: (s,) complex amplitudes.
    """

    boxes: Floats
    places: Floats
    normals: Floats
    strengths: NDArray[np.complex128]


def build(kind: str, rng: np.random.Generator, per_face: int = 5) -> Vehicle:
    """Makes a vehicle of a kind; each differs in its sizes by 3 % and in all its scatterers."""
    boxes = np.array(VEHICLES[kind]) * rng.normal(1, 0.03, (len(VEHICLES[kind]), 6))
    places, normals = [], []
    for along, across, length, width, low, high in boxes:
        for normal in ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)):
            on_face = rng.uniform(-0.5, 0.5, (per_face, 3))
            for axis in (0, 1):
                if normal[axis]:
                    on_face[:, axis] = normal[axis] / 2
            on_face[:, 2] = on_face[:, 2] if any(normal) else 0.5
            middle = (along, across, (low + high) / 2)
            places.append(middle + on_face * (length, width, high - low))
            normals.append(np.tile(normal, (per_face, 1)))
    count = per_face * 5 * len(boxes)
    strengths = rng.lognormal(0.4, 0.7, count) * np.exp(2j * np.pi * rng.random(count))
    return Vehicle(boxes, np.concatenate(places), np.concatenate(normals).astype(float), strengths)


def record(
    vehicle: Vehicle, azimuth: float, depression: float, rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Returns the complex image, (SIZE, SIZE), of a vehicle on grass.

    Grass is Gaussian clutter with a slowly varying mean; nothing is received from the shadow but
    noise; a scatterer is laid over towards the radar by z tan(depression). It is visible only from
    the front of its face, and strongest at normal incidence. The band limits the resolution.

    Args:
        vehicle: The vehicle.
        azimuth: Direction of its front in radians.
        depression: Angle below the horizon at which the radar looks, in radians.
        rng: Draws ground, noise and the place of the vehicle.
    """
    center = rng.uniform(-1, 1, 2)
    lit = 1 - _shadow(vehicle, azimuth, depression, center)
    slow = cv2.resize(rng.standard_normal((6, 6)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    grass = 0.35 * np.exp(0.2 * slow) * clutter(rng, SIZE, SIZE)
    noise = 0.04 * clutter(rng, SIZE, SIZE)
    scene = grass * lit + noise + _scatterers(vehicle, azimuth, depression, center)
    return _limit_band(scene).astype(np.complex64)


def clutter(rng: np.random.Generator, *shape: int) -> NDArray[np.complex64]:
    """Draws circular Gaussian numbers of unit power: fully developed speckle of one look."""
    real, imag = rng.standard_normal((2, *shape), np.float32) / np.float32(np.sqrt(2))
    drawn: NDArray[np.complex64] = (real + 1j * imag).astype(np.complex64)
    return drawn


def _ground(along_across: Floats, azimuth: float, center: Floats) -> Floats:
    """Turns positions on the vehicle (n, 2) into (n, 2) azimuth and ground range."""
    cos, sin = np.cos(azimuth), np.sin(azimuth)
    turned: Floats = along_across @ np.array([[cos, sin], [-sin, cos]]) + center
    return turned


def _pixels(ground: Floats) -> Floats:
    """Returns (n, 2) column and row; far range is at the top."""
    return ground * (1 / SPACING, -1 / SPACING) + SIZE / 2


def _shadow(vehicle: Vehicle, azimuth: float, depression: float, center: Floats) -> Floats:
    """Returns the share of each pixel that no ray reaches, (SIZE, SIZE)."""
    mask = np.zeros((SIZE * _FINER, SIZE * _FINER), np.uint8)
    for along, across, length, width, low, high in vehicle.boxes:
        signs = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) / 2
        corners = _ground((along, across) + signs * (length, width), azimuth, center)
        thrown = [corners + np.array([0, z / np.tan(depression)]) for z in (low, high)]
        outline = _pixels(np.concatenate([corners, *thrown] if low <= 0.5 else thrown))
        hull = cv2.convexHull((outline * _FINER).round().astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 1)
    shares = cv2.resize(mask.astype(np.float64), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(shares, np.float64)


def _scatterers(
    vehicle: Vehicle, azimuth: float, depression: float, center: Floats
) -> NDArray[np.complex128]:
    """Returns the echoes of the scatterers, each in the nearest pixel."""
    ground = _ground(vehicle.places[:, :2], azimuth, center)
    ground[:, 1] -= vehicle.places[:, 2] * np.tan(depression)
    facing = -_ground(vehicle.normals, azimuth, np.zeros(2))[:, 1]  # the radar is at -y
    on_top = ~vehicle.normals.any(axis=1)
    gain = np.where(on_top, 0.4, np.clip(facing, 0, None) * (0.6 + 3 * np.clip(facing, 0, 1) ** 40))
    out = np.zeros((SIZE, SIZE), np.complex128)
    column, row = np.clip(_pixels(ground).round(), 0, SIZE - 1).astype(int).T
    np.add.at(out, (row, column), gain * vehicle.strengths)
    return out


def _limit_band(scene: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Keeps the middle of the spectrum under a Hamming window in both directions."""
    frequency = np.fft.fftfreq(SIZE)
    inside = np.abs(frequency) <= _RESOLVED / 2
    window = np.where(inside, 0.54 + 0.46 * np.cos(2 * np.pi * frequency / _RESOLVED), 0)
    window /= np.sqrt((window**2).mean())  # clutter keeps its power
    limited: NDArray[np.complex128] = np.fft.ifft2(np.fft.fft2(scene) * window[:, None] * window)
    return limited
