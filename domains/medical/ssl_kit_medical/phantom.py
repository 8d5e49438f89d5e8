"""Simulates magnetic resonance images of heads.

Ellipses in the manner of Shepp and Logan (1974) with the tissues of a real head; the signal of a
spin echo; the sensitivity of a coil; sampling in k-space; noise in both of its parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Map = NDArray[np.float64]
_GRID = 128  # pixels, height and width of what is scanned
SIZE = 64  # side of the image, and number of lines of k-space that are sampled


class Tissue(NamedTuple):
    """T1 and T2 in ms at 1.5 T, and proton density relative to water."""

    t1: float
    t2: float
    density: float


# BrainWeb's tissues (Cocosco et al. 1997); bone, edema, tumor and infarct from around the usual.
AIR = Tissue(1, 1, 0)
SKIN = Tissue(350, 70, 1)
BONE = Tissue(500, 20, 0.12)
CSF = Tissue(2569, 329, 1)
GRAY = Tissue(833, 83, 0.86)
WHITE = Tissue(500, 70, 0.77)
TUMOR = Tissue(1300, 140, 0.88)
EDEMA = Tissue(1000, 120, 0.85)
INFARCT = Tissue(1200, 150, 0.9)


@dataclass(frozen=True)
class Head:
    """Anatomy of a patient, the same in all slices.

    Attributes:
        finding: "healthy", "hydrocephalus", "infarct" or "tumor".
        axes: Half width and half length, of a half field of view of 1.
        turn: Of the head in the scanner, in radians.
        shift: Of the head, (2,).
        folds: (6, 2) strength and phase of the folds of the cortex.
        ventricles: Size of the ventricles.
        spot: Place of the finding in the brain, (2,), and its radius.
        side: 1 or -1.
    """

    finding: str
    axes: tuple[float, float]
    turn: float
    shift: Map
    folds: Map
    ventricles: float
    spot: tuple[float, float, float]
    side: int


def draw_head(finding: str, rng: np.random.Generator) -> Head:
    """Draws a patient with a finding."""
    wide = finding == "hydrocephalus"
    return Head(
        finding=finding,
        axes=(rng.uniform(0.62, 0.72), rng.uniform(0.78, 0.9)),
        turn=np.radians(rng.uniform(-8, 8)),
        shift=rng.uniform(-0.06, 0.06, 2),
        folds=np.column_stack([rng.uniform(0.005, 0.03, 6), rng.uniform(0, 2 * np.pi, 6)]),
        ventricles=rng.uniform(1.7, 2.3) if wide else rng.uniform(0.7, 1.15),
        spot=(rng.uniform(0.3, 0.5), rng.uniform(-0.45, 0.45), rng.uniform(0.14, 0.26)),
        side=int(rng.choice([-1, 1])),
    )


def _inside(radius: Map, soft: float = 0.03) -> Map:
    """Returns the share of tissue in each pixel, from a radius that is 1 at its border."""
    share: Map = expit((1 - radius) / soft)
    return share


def layers(head: Head, height: float) -> list[tuple[Map, Tissue]]:
    """Returns the tissues of a slice from the outside in: shares (H, W) and properties.

    Args:
        head: The patient.
        height: Height of the slice; 0 is the middle of the head and 1 its top.
    """
    line = np.linspace(-1, 1, _GRID)
    x, y = np.meshgrid(line, line)
    x, y = x - head.shift[0], y - head.shift[1]
    cos, sin = np.cos(head.turn), np.sin(head.turn)
    x, y = cos * x + sin * y, cos * y - sin * x
    width = np.sqrt(1 - height**2)
    x, y = x / (head.axes[0] * width), y / (head.axes[1] * width)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    waves = np.arange(7, 19, 2)
    folds = sum(a * np.cos(k * angle + p) for k, (a, p) in zip(waves, head.folds, strict=True))
    tissues = [
        (_inside(radius), SKIN),
        (_inside(radius / 0.93), BONE),
        (_inside(radius / 0.86), CSF),
        (_inside(radius / (0.83 + 0.5 * folds)), GRAY),
        (_inside(radius / (0.7 + folds)), WHITE),
        *_lesion(head, x, y, angle, height),
        *_ventricles(head, x, y, height),
    ]
    if height < -0.1:  # the eyes
        eyes = [np.hypot((x - side * 0.36) / 0.2, (y + 0.72) / 0.17) for side in (-1, 1)]
        tissues += [(_inside(eye, 0.1), CSF) for eye in eyes]
    return tissues


def _ventricles(head: Head, x: Map, y: Map, height: float) -> list[tuple[Map, Tissue]]:
    size = head.ventricles * np.sqrt(max(0.05, 1 - ((height - 0.1) / 0.45) ** 2))
    horns = [
        np.hypot((x - side * (0.09 + 0.1 * abs(height) + 0.03 * size)) / 0.08, (y + 0.03) / 0.27)
        for side in (-1, 1)
    ]
    return [(_inside(horn / size, 0.08), CSF) for horn in horns]


def _lesion(head: Head, x: Map, y: Map, angle: Map, height: float) -> list[tuple[Map, Tissue]]:
    across, along, size = head.spot
    size = size * np.sqrt(max(0.1, 1 - ((height - 0.1) / 0.6) ** 2))
    away = np.hypot(x - head.side * across, y - along)
    if head.finding == "tumor":
        inner = (_inside(away / (0.45 * size), 0.2), CSF)  # dead in the middle
        return [
            (_inside(away / (1.6 * size), 0.15), EDEMA),
            (_inside(away / size, 0.1), TUMOR),
            inner,
        ]
    if head.finding == "infarct":  # the wedge that one artery feeds
        center = np.arctan2(along, head.side * across)
        aside = np.abs(np.angle(np.exp(1j * (angle - center)))) / (1.7 * size)
        deep = np.maximum(0.3 / np.maximum(np.hypot(x, y), 1e-3), np.hypot(x, y) / 0.84)
        return [(_inside(np.maximum(aside, deep), 0.05), INFARCT)]
    return []


def scan(
    head: Head,
    height: float,
    echo: tuple[float, float],
    coil: NDArray[Any],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Returns the magnitude image of a slice, (64, 64), in arbitrary units.

    Args:
        head: The patient.
        height: Height of the slice.
        echo: TR and TE in ms.
        coil: (H, W) sensitivity of the coil.
        rng: Draws the noise.
    """
    tr, te = echo
    signal = np.zeros((_GRID, _GRID))
    for share, tissue in layers(head, height):
        echoed = tissue.density * (1 - np.exp(-tr / tissue.t1)) * np.exp(-te / tissue.t2)
        signal += share * (echoed - signal)
    k_space = np.fft.fftshift(np.fft.fft2(signal * coil))
    first = (_GRID - SIZE) // 2
    sampled = k_space[first : first + SIZE, first : first + SIZE] * (SIZE / _GRID) ** 2
    noise = rng.standard_normal((2, SIZE, SIZE)) * 0.03 * np.abs(signal).max()
    image = np.fft.ifft2(np.fft.ifftshift(sampled)) + noise[0] + 1j * noise[1]
    magnitude: NDArray[np.float32] = np.abs(image).astype(np.float32)
    return magnitude
