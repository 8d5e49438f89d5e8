"""Scene, band, sensor and calibration from the name of a file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import clouds
from .bands import VOCABULARY

_SENSORS = (
    ("sentinel2", re.compile(r"S2[A-D]_MSIL(1C|2A)_|(^|/)(L2A_)?T\d{2}[A-Z]{3}_\d{8}T\d{6}_")),
    ("landsat45", re.compile(r"(^|/)LT0[45]_")),
    ("landsat7", re.compile(r"(^|/)LE07_")),
    ("landsat89", re.compile(r"(^|/)L[CO]0[89]_")),
)
_BANDS = (
    r"(?:SR_|ST_)?B\d{1,2}A?(?:_VCID_[12])?",
    *sorted(VOCABULARY, key=len, reverse=True),
    *clouds.KNOWN,
)
# Files of a product that are no bands: pictures, quality, angles, atmosphere.
_ANCILLARY = re.compile(
    r"(^|[_/])(TCI|PVI|AOT|WVP|(MSK|QA|SR_QA|SR_CLOUD|SR_ATMOS)_\w+|ST_(?!B\d)\w+|[VS][AZ]A)"
    r"(_\d+m)?\.\w+$",
    re.IGNORECASE,
)
_RESOLUTION = re.compile(r"R\d+m")
_BASELINE = re.compile(r"S2[A-D]_MSIL(?:1C|2A)_\d{8}T\d{6}_N(\d{4})_")
_OFFSET_SINCE = 400  # processing baseline 04.00 of January 2022


@dataclass(frozen=True)
class FileName:
    """Parts of the name of a file.

    Attributes:
        scene: The path without the ending and without what names a band and its resolution.
        band: Band as written, such as B8A, red or scl; "" if the name ends in none.
    """

    scene: str
    band: str


def parse(path: str, cloud_band: str = "") -> FileName:
    """Parses a path such as LC08_..._SR_B4.TIF, T32TQM_..._B02_10m.jp2 or place1/red.tif.

    Args:
        path: With "/".
        cloud_band: A further name of a band.
    """
    *folders, file = path.split("/")
    stem = file.rpartition(".")[0] or file
    names = "|".join([*_BANDS, *([re.escape(cloud_band)] if cloud_band else [])])
    match = re.fullmatch(rf"(?:(.*?)[_.-])?({names})(?:_\d+m)?", stem, re.IGNORECASE)
    if match is None:
        return FileName("/".join([*folders, stem]), "")
    folders = [folder for folder in folders if not _RESOLUTION.fullmatch(folder)]
    return FileName("/".join([*folders, *filter(None, [match[1]])]), match[2])


def is_ancillary(path: str) -> bool:
    """Tells whether a file of a product is none of its bands."""
    return _ANCILLARY.search(path) is not None


def sensor_of(path: str) -> str:
    """Returns the sensor in the name of a product, "" if there is none."""
    return next((sensor for sensor, pattern in _SENSORS if pattern.search(path)), "")


def calibration(path: str, band: str, dtype: str) -> tuple[float, float] | None:
    """Returns the gain and offset that make reflectance of a product's numbers (kelvin, of ST_B*).

    Known for unsigned 16 bit only, the type of the products: a file of another type has been
    processed further, whatever its name. Landsat Collection 2 Level-2, and Level-1 of OLI (where
    the sun's elevation is left out, as it is the same in all bands); Sentinel-2 by processing
    baseline, which the name of the .SAFE folder holds.

    Args:
        path: Of the file.
        band: As the file name has it.
        dtype: Of the file.
    """
    if dtype != "uint16":
        return None
    if re.search(r"(^|/)L[CTEO]0[45789]_L2S[PR]_", path):
        return (0.00341802, 149.0) if band.upper().startswith("ST_") else (0.0000275, -0.2)
    if re.search(r"(^|/)L[CO]0[89]_L1", path) and band.upper() not in ("B10", "B11"):
        return (0.00002, -0.1)
    baseline = _BASELINE.search(path)
    if baseline:
        return (0.0001, -0.1 if int(baseline[1]) >= _OFFSET_SINCE else 0.0)
    return None
