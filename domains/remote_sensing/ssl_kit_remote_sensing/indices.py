"""Spectral indices: ratios of bands that stand for vegetation, water, buildings or burns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .bands import INDICES

Floats = NDArray[np.float32]

# (first - second) / (first + second)
_PAIRS: Mapping[str, tuple[str, str]] = {
    "ndvi": ("nir", "red"),  # Rouse et al. 1974
    "ndwi": ("green", "nir"),  # McFeeters 1996
    "mndwi": ("green", "swir_1"),  # Xu 2006
    "ndbi": ("swir_1", "nir"),  # Zha et al. 2003
    "ndmi": ("nir", "swir_1"),  # Gao 1996
    "nbr": ("nir", "swir_2"),  # Key and Benson 2006
    "ndre": ("nir", "red_edge_1"),  # Gitelson and Merzlyak 1994
    "savi": ("nir", "red"),  # Huete 1988, https://doi.org/10.1016/0034-4257(88)90106-X
}
_SOIL = 0.5  # Huete's L for medium cover, in reflectance
assert set(_PAIRS) == set(INDICES)  # noqa: S101  # bands.py lists the names without NumPy


def bands_of(index: str) -> tuple[str, str]:
    """Returns the bands that an index needs."""
    return _PAIRS[index]


def compute(index: str, first: Floats, second: Floats) -> Floats:
    """Computes an index from reflectances of any one shape.

    Args:
        index: A name of `INDICES`.
        first: Of the first band of `bands_of`; NaN where there is no data.
        second: Of the second.

    Returns:
        Values in [-1, 1]: 0 where both bands are dark, so that nothing can be told, NaN where
        either has no data.
    """
    soil = _SOIL if index == "savi" else 0.0
    total = first + second + soil
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (1 + soil) * (first - second) / total
    ratio = np.where(total <= 0, np.float32(0), ratio)  # atmospheric correction can overshoot
    clipped: Floats = np.clip(ratio, -1, 1).astype(np.float32)
    return clipped
