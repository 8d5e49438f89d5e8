"""Tells tissue from glass, shadows and pen marks on a small picture of a slide.

Colors are compared as optical densities relative to the glass of the slide, because stains and ink
absorb, and the same stain is paler on a thinner section.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ssl_kit import Image

Mask = NDArray[np.bool_]
_Floats = NDArray[np.floating]
_BRIGHT, _PALE = 170, 20  # of 255: least brightness and largest saturation of glass
_SHARE_OF_GLASS = 0.01  # of the picture; with less, the glass is taken for white
_PEAK = 0.05  # of the pale pixels, share of the brightest peak of the histogram: the glass
_NEAR = 3  # of 255, half the width of that peak
_FAINTEST = (4.0, 11.0)  # of 255, the range of the automatic threshold
_FAINTEST_ON_WHITE = 8.0  # its lowest value if the glass is clipped, or filled in, to pure white
_SAMPLE = 2**20  # pixels, about, on which the glass is found
_STRIP = 256  # rows that are judged at once
_NOISE = 6.0  # standard deviations of the saturation of glass that are no tissue
_DARK = 40  # of 255: what is darker has no color
_GRAY = 0.15  # ratio of the differences between channels to their mean; shadows have less


@dataclass(frozen=True)
class Tissue:
    """Tissue and pen marks of a picture.

    Attributes:
        mask: (h, w), true at tissue.
        pen: (h, w), true at pen marks.
        threshold: Smallest saturation of tissue, of 255, that was used.
    """

    mask: Mask
    pen: Mask
    threshold: float


def find_tissue(
    picture: Image, scanned: Mask | None = None, threshold: float | None = None
) -> Tissue:
    """Separates tissue from glass, shadows and pen marks.

    Tissue is what has more color than the glass. The threshold is six standard deviations above
    the saturation of the glass, and between 4 and 11 of 255; Otsu's threshold is not used, because
    it separates dark from pale tissue where a slide has both.

    Args:
        picture: (h, w, 3) RGB, uint8.
        scanned: (h, w), false where the slide has no data; all of it if left out.
        threshold: Smallest saturation of tissue relative to the glass, of 255; measured if None.
    """
    smooth = np.asarray(cv2.medianBlur(picture, 3))
    known = np.ones(picture.shape[:2], bool) if scanned is None else scanned
    sample = slice(None, None, math.ceil(math.sqrt(known.size / _SAMPLE)))
    glass, near = _find_glass(smooth[sample, sample], known[sample, sample])
    if threshold is None:
        spread = np.ptp(_density(smooth[sample, sample], glass)[near], axis=1)
        threshold = _measure_threshold(255 * (1 - np.exp(-spread)), bool(glass.min() >= 254))
    colored, ink = np.empty_like(known), np.empty_like(known)
    for top in range(0, len(smooth), _STRIP):  # densities take twelve bytes a pixel
        rows = slice(top, top + _STRIP)
        density = _density(smooth[rows], glass)
        colored[rows], ink[rows] = _is_colored(density, threshold), _is_ink(density)
    colored &= known & (smooth.max(2) > _DARK)
    pen = cv2.dilate(ink.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return Tissue(colored & ~pen, colored & pen, threshold)


def _density(picture: Image, glass: _Floats) -> _Floats:
    """Returns optical densities relative to the glass, float32; 0 where it is brighter."""
    table = np.maximum(np.log((glass + 1) / np.arange(1, 257)[:, None]), 0).astype(np.float32)
    return np.stack([table[:, c][picture[..., c]] for c in range(3)], axis=-1)


def _is_colored(density: _Floats, threshold: float) -> Mask:
    """Tells which pixels have more color than the glass and than a shadow, (h, w)."""
    spread = density.max(2) - density.min(2)
    smallest = -math.log(max(1 - threshold / 255, 1e-6))
    return np.asarray((spread > smallest) & (spread > _GRAY * density.mean(2)))


def _find_glass(picture: Image, known: Mask) -> tuple[_Floats, Mask]:
    """Returns the color of the glass (3,), and which pixels have it (h, w).

    It is the brightest color with little saturation that is frequent; white if there is none.
    """
    high, low = (side(picture, axis=2).astype(np.int64) for side in (np.max, np.min))
    pale = known & (high >= _BRIGHT) & (255 * (high - low) <= _PALE * high)
    if pale.sum() < max(1, _SHARE_OF_GLASS * known.sum()):
        return np.full(3, 255.0), np.zeros_like(known)
    level = picture.mean(2).round().astype(np.int64)
    counts = np.bincount(level[pale], minlength=256)
    window = np.convolve(counts, np.ones(2 * _NEAR + 1), "same")
    brightest = int(np.flatnonzero(window >= _PEAK * pale.sum())[-1])
    first = max(0, brightest - 2 * _NEAR)
    center = first + int(np.argmax(counts[first : brightest + 1]))
    near = pale & (abs(level - center) <= _NEAR)
    return np.median(picture[near], axis=0), near


def _measure_threshold(glass: _Floats, clipped: bool) -> float:
    """Returns the automatic threshold from the saturation of pixels of glass (n,).

    Scanners fill white in where they did not scan, and real glass beside it has a tint.
    """
    lowest, highest = _FAINTEST
    lowest = _FAINTEST_ON_WHITE if clipped else lowest
    if not len(glass):
        return highest
    middle = np.median(glass)
    deviation = 1.4826 * np.median(np.abs(glass - middle))
    return float(np.clip(middle + _NOISE * deviation, lowest, highest))


def _is_ink(density: _Floats) -> Mask:
    """Tells which pixels have the hue of blue, green or red ink, (h, w).

    Hematoxylin absorbs about as much red as green light, eosin most green and DAB most blue. Blue
    and green ink absorb far more red than green light, and red ink, unlike blood, hardly any red.
    Pale colors are not judged, because the hue of a thin stain is uncertain.

    Args:
        density: (h, w, 3) optical density of red, green and blue relative to the glass.
    """
    red, green, blue = np.moveaxis(density, 2, 0)
    cold = (red > 1.55 * green) & (red - np.minimum(green, blue) > 0.15)
    dark_blue = (red > 1.6) & (red > 1.1 * green) & (green > blue)
    warm = (green > 1.3) & (red < 0.12 * green) & (blue > 0.75 * green)
    return np.asarray(cold | dark_blue | warm)
