"""What the names of bands tell: their place in the spectrum."""

from __future__ import annotations

from collections.abc import Sequence

RGB = ("red", "green", "blue")

# Centre wavelengths in nanometres of the common band names of the STAC electro-optical extension;
# the centres are those of Sentinel-2 MSI where it has the band.
_NANOMETRES = {
    "coastal": 443.0,
    "blue": 490.0,
    "green": 560.0,
    "yellow": 600.0,
    "red": 665.0,
    "rededge": 705.0,
    "nir": 842.0,
    "nir08": 865.0,
    "swir16": 1610.0,
    "swir22": 2190.0,
}


def wavelengths(channels: Sequence[str]) -> tuple[float, ...]:
    """Returns the centre wavelength of each band in nanometres; () if any name is not known."""
    found = [_NANOMETRES.get(name.lower()) for name in channels]
    return tuple(value for value in found if value) if all(found) else ()
