"""Missing data that files do not declare."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FILL_SHARE, _FILL_GAP = 0.005, 3.0  # of the pixels; of the range of all other values


def suspected_fill(values: NDArray[np.float64]) -> float | None:
    """Returns an extreme value that many pixels share and that lies far from all others.

    Args:
        values: (n,) finite values.

    Returns:
        The value if at least 0.5 % of the pixels have exactly it and it is three times the range
        of all other values away from them; None if there is no such value.
    """
    for extreme in (values.min(), values.max()):
        rest = values[values != extreme]
        if not len(rest) or len(values) - len(rest) < _FILL_SHARE * len(values):
            continue
        gap = min(abs(extreme - rest.min()), abs(extreme - rest.max()))
        if gap > _FILL_GAP * max(float(rest.max() - rest.min()), 1e-12):
            return float(extreme)
    return None
