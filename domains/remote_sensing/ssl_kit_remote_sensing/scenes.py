"""Made-up land: reflectance maps of six land covers that share their materials."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.floating]
Mask = NDArray[np.bool_]
SIZE = 128
BANDS = ("blue", "green", "red", "nir")

# Reflectance at 490, 560, 665 and 842 nm. Rounded values of the order that spectral libraries
# (ECOSTRESS, USGS splib07) show for such materials: plausible, not measured.
_MATERIALS: Mapping[str, Map] = {
    name: np.array(values, np.float32)
    for name, values in {
        "clear_water": (0.06, 0.05, 0.03, 0.01),
        "turbid_water": (0.08, 0.11, 0.10, 0.05),
        "green_leaf": (0.03, 0.08, 0.04, 0.45),
        "dry_leaf": (0.07, 0.12, 0.16, 0.30),
        "wet_soil": (0.05, 0.08, 0.11, 0.16),
        "dry_soil": (0.11, 0.16, 0.22, 0.29),
        "sand": (0.18, 0.25, 0.32, 0.40),
        "asphalt": (0.08, 0.09, 0.10, 0.12),
        "concrete": (0.21, 0.25, 0.27, 0.31),
        "tiles": (0.08, 0.11, 0.24, 0.32),
        "metal": (0.38, 0.40, 0.41, 0.42),
    }.items()
}
_ROWS, _COLS = np.mgrid[:SIZE, :SIZE].astype(np.float32)


def noise(rng: np.random.Generator, wavelength: float, octaves: int = 1) -> Map:
    """Returns smooth noise of mean 0 and deviation 1, (SIZE, SIZE).

    Args:
        rng: Source of chance.
        wavelength: Pixels from bump to bump.
        octaves: Each further one has half the wavelength and 0.6 of the height.
    """
    total = np.zeros((SIZE, SIZE), np.float32)
    for octave in range(octaves):
        cells = int(np.ceil(SIZE * 2**octave / wavelength)) + 3
        grid = rng.standard_normal((cells, cells), np.float32)
        total += 0.6**octave * cv2.resize(grid, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    standard: Map = (total - total.mean()) / total.std()
    return standard


def _mix(low: Map, high: Map, share: Map | Mask | float) -> Map:
    """Returns low where share is 0, high where it is 1; share is (SIZE, SIZE) or a number."""
    weight = np.asarray(share, np.float32)[..., None]
    return low + weight * (high - low)


def _between(rng: np.random.Generator, first: str, second: str) -> Map:
    """Returns the spectrum of a mixture of two materials, (4,)."""
    return _mix(_MATERIALS[first], _MATERIALS[second], rng.random())


def _turned(rng: np.random.Generator) -> tuple[Map, Map]:
    """Returns the coordinates of a grid in a random direction, in pixels."""
    angle = rng.uniform(0, np.pi)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * _COLS + sin * _ROWS, cos * _ROWS - sin * _COLS


def _cells(
    rng: np.random.Generator, along: Map, smallest: float, largest: float
) -> NDArray[np.int64]:
    """Returns the number of the strip each pixel is in; strips have random widths in pixels."""
    edges = np.cumsum(rng.uniform(smallest, largest, int(4 * SIZE / smallest))) - 2 * SIZE
    return np.searchsorted(edges, along)


def _countryside(rng: np.random.Generator) -> Map:
    """What most lands have in common: leaf and soil, both of any season, in soft patches."""
    leaf, soil = _between(rng, "green_leaf", "dry_leaf"), _between(rng, "wet_soil", "dry_soil")
    cover = 1 / (1 + np.exp(-2 * (noise(rng, 40, 3) + rng.uniform(-1.5, 1.5))))
    return _mix(soil, leaf, cover)


def _forest(rng: np.random.Generator) -> Map:
    """Crowns of a few pixels, lit from one side, with gaps in the canopy."""
    crowns = noise(rng, rng.uniform(4, 7))
    shift = rng.integers(-2, 3, 2)
    lit = crowns - np.roll(crowns, tuple(shift), (0, 1))
    leaf = _between(rng, "green_leaf", "dry_leaf") * np.clip(0.8 + 0.3 * lit, 0.2, 1.4)[..., None]
    return _mix(leaf, _countryside(rng), noise(rng, 30, 2) > rng.uniform(0.8, 2.0))


def _cropland(rng: np.random.Generator) -> Map:
    """Parcels of one material each, with rows and tracks between."""
    u, v = _turned(rng)
    iu, iv = _cells(rng, u, 14, 34), _cells(rng, v, 14, 34)
    rough = _countryside(rng)
    kinds = np.stack(
        [
            _between(rng, "green_leaf", "dry_leaf")
            if rng.random() < 0.5
            else _between(rng, "wet_soil", "dry_soil")
            for _ in range(16)
        ]
    )
    parcels = kinds[rng.integers(0, 16, (iu.max() + 1, iv.max() + 1))[iu, iv]]
    rows = 1 + 0.12 * np.sin(u * (2 * np.pi / rng.uniform(3, 5)))
    return _mix(rough, parcels * rows[..., None], 0.85)


def _urban(rng: np.random.Generator) -> Map:
    """A grid of streets, roofs of many kinds, and gardens."""
    u, v = _turned(rng)
    iu, iv = _cells(rng, u, 5, 9), _cells(rng, v, 5, 9)
    roofs = np.stack([_MATERIALS[name] for name in ("concrete", "tiles", "metal", "asphalt")])
    plots = (iu.max() + 1, iv.max() + 1)
    houses = roofs[rng.choice(4, plots, p=[0.35, 0.35, 0.1, 0.2])[iu, iv]]
    built = rng.random(plots)[iu, iv] < rng.uniform(0.3, 0.7)
    land = _mix(_countryside(rng), houses, built)
    block = rng.uniform(18, 30)
    return _mix(land, _MATERIALS["asphalt"], (u % block < 3) | (v % block < 3))


def _bare(rng: np.random.Generator) -> Map:
    """Dunes or furrowed rock, with shrubs here and there."""
    u, _ = _turned(rng)
    phase = 2 * np.pi * u / rng.uniform(7, 16) + 1.5 * noise(rng, 30, 2)
    ground = _mix(
        _between(rng, "dry_soil", "sand"),
        _between(rng, "wet_soil", "dry_soil"),
        0.5 + 0.25 * noise(rng, 50, 2),
    )
    shrubs = noise(rng, 4) > rng.uniform(1.2, 2.2)
    leaf = _between(rng, "green_leaf", "dry_leaf")
    return _mix(ground * (1 + 0.25 * np.sin(phase))[..., None], leaf, shrubs)


def _river(rng: np.random.Generator) -> Map:
    """Narrow water of one width, winding through countryside, with sandy banks."""
    field = noise(rng, rng.uniform(40, 56))
    down, right = np.gradient(field)
    away = np.abs(field) / (np.hypot(down, right) + 0.01)  # about pixels from where field is 0
    width = rng.uniform(2, 4)
    banks = _mix(_countryside(rng), _MATERIALS["sand"], away < width + 1.2)
    return _mix(banks, _between(rng, "clear_water", "turbid_water"), away < width)


def _wetland(rng: np.random.Generator) -> Map:
    """Ponds of any size in vegetation, with muddy edges."""
    level = noise(rng, rng.uniform(16, 26), 3) - rng.uniform(-0.3, 0.8)
    shore = _mix(_countryside(rng), _MATERIALS["wet_soil"], np.clip(1 + 3 * level, 0, 1))
    return _mix(shore, _between(rng, "clear_water", "turbid_water"), np.clip(4 * level, 0, 1))


LAND_COVERS: Mapping[str, Callable[[np.random.Generator], Map]] = {
    "bare": _bare,
    "cropland": _cropland,
    "forest": _forest,
    "river": _river,
    "urban": _urban,
    "wetland": _wetland,
}
