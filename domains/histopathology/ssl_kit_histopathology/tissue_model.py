"""Simulates stained tissue by concentrations of hematoxylin and eosin.

Nuclei are ellipses of hematoxylin, fibers and cytoplasm are eosin, lumen and fat are clear. Sizes
are about right at 0.5 microns per pixel; textures are simple.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ssl_kit import Image

SIZE = 96  # pixels, height and width of a tile: 48 microns
# Hematoxylin of Ruifrok and Johnston; their eosin is purer than that of tissue: this is QuPath's.
_VECTORS = np.array([[0.65, 0.70, 0.29], [0.2159, 0.8012, 0.5581]])
_LEVELS = 150  # of uint8 per unit of concentration
Map = NDArray[np.float32]
Rng = np.random.Generator


@dataclass(frozen=True)
class Stain:
    """How one slide was stained and scanned.

    Attributes:
        vectors: (2, 3) optical density of hematoxylin and eosin in red, green and blue.
        strengths: (2,) of both.
        light: (3,) intensity of clear glass, of 1.
    """

    vectors: NDArray[np.float64]
    strengths: NDArray[np.float64]
    light: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: Rng) -> Stain:
        """Draws the stain of a slide: laboratories differ in dye, time and scanner."""
        vectors = np.maximum(_VECTORS + rng.normal(0, 0.05, (2, 3)), 0.02)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return cls(vectors, rng.uniform(0.75, 1.25, 2), rng.uniform(0.93, 0.98, 3))


def smooth(rng: Rng, rows: int, cols: int) -> Map:
    """Returns smooth noise (SIZE, SIZE) of about unit strength with that many bumps each way."""
    coarse = rng.standard_normal((rows, cols), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC))


def put_nuclei(
    hematoxylin: Map,
    rng: Rng,
    centers: NDArray[np.float64],
    radii: tuple[float, float],
    stretch: float = 1.2,
    angles: NDArray[np.float64] | float | None = None,
    amount: tuple[float, float] = (0.8, 1.1),
) -> None:
    """Adds ellipses at centers (n, 2), x and y in pixels, with mottled chromatin.

    Args:
        hematoxylin: Changed in place.
        rng: Draws what is random.
        centers: (n, 2).
        radii: Range of the shorter half-axis in pixels.
        stretch: Mean ratio of the half-axes.
        angles: Of the longer axes in degrees, (n,) or one for all; random if None.
        amount: Range of the concentration.
    """
    turned = rng.uniform(0, 180, len(centers)) if angles is None else angles
    turned = np.broadcast_to(turned, len(centers))
    drawn = np.zeros((SIZE, SIZE), np.uint8)
    for (x, y), angle in zip(centers, turned, strict=True):
        short = rng.uniform(*radii)
        axes = (round(16 * short * stretch * rng.uniform(0.85, 1.15)), round(16 * short))
        center, whole = (round(16 * x), round(16 * y)), (float(angle), 0.0, 360.0)  # sixteenths
        level = int(rng.uniform(*amount) * _LEVELS)
        cv2.ellipse(drawn, center, axes, *whole, level, -1, cv2.LINE_AA, 4)
    chromatin = 1 + 0.15 * smooth(rng, 32, 32)
    np.maximum(hematoxylin, drawn * chromatin / np.float32(_LEVELS), out=hematoxylin)


def scatter(rng: Rng, count: int, apart: float) -> NDArray[np.float64]:
    """Returns up to `count` points (n, 2) on a tile and its rim, `apart` pixels from each other."""
    points = rng.uniform(-4, SIZE + 4, (3 * count, 2))
    near = np.linalg.norm(points[:, None] - points, axis=2) < apart
    free = np.ones(len(points), bool)
    kept: list[int] = []
    for i in range(len(points)):
        if free[i] and len(kept) < count:
            kept.append(i)
            free &= ~near[i]
    return points[kept]


def _stroma(rng: Rng) -> tuple[Map, Map]:
    """Bundles of fibers in one direction, with few thin nuclei along them."""
    angle = rng.uniform(0, 180)
    turn = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), angle, 1.5)
    fibers = cv2.warpAffine(smooth(rng, 40, 4), turn, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT)
    eosin = np.maximum(0.5 + 0.25 * fibers + 0.1 * smooth(rng, 5, 5), 0.05)
    hematoxylin = np.full((SIZE, SIZE), 0.05, np.float32)
    centers = scatter(rng, int(rng.integers(5, 10)), 14)
    angles = -angle + rng.normal(0, 8, len(centers))
    put_nuclei(hematoxylin, rng, centers, (2.0, 2.8), 4, angles)
    return hematoxylin, eosin


def _gland(rng: Rng) -> tuple[Map, Map]:
    """A round lumen with a ring of cells, nuclei at their base, in loose stroma."""
    hematoxylin, eosin = _stroma(rng)
    center, lumen = rng.uniform(0.3, 0.7, 2) * SIZE, rng.uniform(8, 16)
    y, x = np.mgrid[:SIZE, :SIZE]
    wobble = 2 * smooth(rng, 4, 4)
    distance = np.hypot(x - center[0], y - center[1]) + wobble
    height = rng.uniform(16, 20)
    inside = distance < lumen + height
    hematoxylin[inside], eosin[inside] = 0.12, 0.35
    eosin[distance < lumen] = 0.02
    hematoxylin[distance < lumen] = 0.0
    count = int(2 * np.pi * (lumen + height - 6) / 8.5)
    turns = np.arange(count) * 2 * np.pi / count + rng.normal(0, 0.05, count)
    radius = lumen + height - 6 + rng.normal(0, 1, count)
    centers = center + radius[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    put_nuclei(hematoxylin, rng, centers, (2.8, 3.4), 1.7, np.degrees(turns))
    return hematoxylin, eosin


def _tumor(rng: Rng) -> tuple[Map, Map]:
    """Crowded large nuclei of all sizes and shades."""
    hematoxylin = 0.15 + 0.04 * smooth(rng, 8, 8)
    eosin = 0.4 + 0.08 * smooth(rng, 8, 8)
    centers = scatter(rng, int(rng.integers(28, 42)), 11)
    put_nuclei(hematoxylin, rng, centers, (4.0, 7.5), 1.35, amount=(0.5, 1.3))
    return np.maximum(hematoxylin, 0), np.maximum(eosin, 0)


def _lymphocytes(rng: Rng) -> tuple[Map, Map]:
    """Small round dark nuclei side by side, with hardly any cytoplasm."""
    hematoxylin = np.full((SIZE, SIZE), 0.1, np.float32)
    eosin = 0.2 + 0.05 * smooth(rng, 10, 10)
    centers = scatter(rng, int(rng.integers(90, 130)), 6.5)
    put_nuclei(hematoxylin, rng, centers, (2.8, 3.4), 1.05, amount=(1.1, 1.4))
    return hematoxylin, np.maximum(eosin, 0)


def _fat(rng: Rng) -> tuple[Map, Map]:
    """Large empty cells with thin walls, and a flat nucleus here and there."""
    cells = scatter(rng, int(rng.integers(8, 14)), 22)
    y, x = np.mgrid[:SIZE, :SIZE]
    distances = np.hypot(x[..., None] - cells[:, 0], y[..., None] - cells[:, 1])
    nearest = np.partition(distances, 1, axis=2)
    gap = nearest[..., 1] - nearest[..., 0] + smooth(rng, 6, 6)
    wall = np.exp(-((np.maximum(gap, 0) / 2.5) ** 2)).astype(np.float32)
    hematoxylin = 0.08 * wall
    corners = np.argwhere(wall > 0.9)[:, ::-1].astype(np.float64)
    chosen = corners[rng.integers(len(corners), size=int(rng.integers(1, 4)))]
    put_nuclei(hematoxylin, rng, chosen, (1.8, 2.4), 2.5)
    return hematoxylin, 0.5 * wall + np.float32(0.01)


TISSUES: dict[str, Callable[[Rng], tuple[Map, Map]]] = {
    "fat": _fat,
    "gland": _gland,
    "lymphocytes": _lymphocytes,
    "stroma": _stroma,
    "tumor": _tumor,
}


def scan(tissue: str, stain: Stain, rng: Rng) -> Image:
    """Makes a tile (SIZE, SIZE, 3), uint8 RGB, of a tissue: absorption, optics, noise."""
    amounts = np.stack(TISSUES[tissue](rng), axis=2) * stain.strengths * rng.uniform(0.9, 1.1)
    transmitted = stain.light * np.exp(-amounts @ stain.vectors)
    soft = np.asarray(cv2.GaussianBlur(transmitted, (0, 0), rng.uniform(0.5, 0.8)), np.float64)
    return (255 * soft + rng.normal(0, 2, soft.shape)).round().clip(0, 255).astype(np.uint8)
