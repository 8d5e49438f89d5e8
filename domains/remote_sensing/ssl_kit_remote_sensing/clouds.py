"""Cloud masks from quality bands."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

KNOWN = ("scl", "qa_pixel")

# Scene classification of Sentinel-2 L2A: cloud shadow, cloud of medium and of high probability,
# thin cirrus. https://sentiwiki.copernicus.eu/web/s2-processing
_SCL = (3, 8, 9, 10)
# QA_PIXEL of Landsat Collection 2: dilated cloud, cirrus, cloud, cloud shadow.
# https://www.usgs.gov/landsat-missions/landsat-collection-2-quality-assessment-bands
_QA_PIXEL = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4


def cloudy(values: NDArray[Any], kind: str) -> NDArray[np.bool_]:
    """Returns where a quality band marks clouds or their shadows.

    Args:
        values: Of the band, any shape.
        kind: "scl", "qa_pixel", or another name: then what is not 0 is cloud.
    """
    if kind == "scl":
        return np.isin(values, _SCL)
    if kind == "qa_pixel":
        whole = values.astype(np.int64)
        # Bit 0 is fill, which the mask of no data covers.
        return np.asarray(((whole & _QA_PIXEL) != 0) & ((whole & 1) == 0))
    return np.asarray(values != 0)
