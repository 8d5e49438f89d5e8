"""Reads the size of a pixel from OME-XML, which OpenSlide does not look at.

https://docs.openmicroscopy.org/ome-model/latest/developers/ome-units.html
"""

from __future__ import annotations

import html
import math
import re

_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b([^>]*)>")
_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_MICRO, _GREEK = "\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}"  # both stand before m
_MICRONS = {
    **{"pm": 1e-6, "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}": 1e-4, "nm": 1e-3},
    **dict.fromkeys((f"{_MICRO}m", f"{_GREEK}m", "um", "micron"), 1.0),
    **{"mm": 1e3, "cm": 1e4, "dm": 1e5, "m": 1e6, "in": 25400.0},
}
"""Microns of each unit of OME; "pixel" and "reference frame" are none."""


def pixel_sides(description: str, size: tuple[int, int]) -> tuple[float, float] | None:
    """Returns width and height in microns of a pixel of the image of a size.

    Args:
        description: Of the TIFF file.
        size: (width, height) of the slide in pixels; OME-XML may describe a label, too.

    Returns:
        None if it is no OME-XML, or does not say it of such an image.
    """
    for match in _PIXELS.finditer(description):
        pairs = _ATTRIBUTE.findall(match[1])
        fields = {name: html.unescape(double or single) for name, double, single in pairs}
        if (fields.get("SizeX"), fields.get("SizeY")) == tuple(map(str, size)):
            across, down = (_microns(fields, axis) for axis in "XY")
            return (across, down) if across and down else None
    return None


def _microns(fields: dict[str, str], axis: str) -> float:
    """Returns the side of a pixel, 0 if it is unknown; the unit is microns where none is given."""
    unit = fields.get(f"PhysicalSize{axis}Unit", "um").strip()
    try:
        side = float(fields.get(f"PhysicalSize{axis}", "")) * _MICRONS.get(unit, 0.0)
    except ValueError:
        return 0.0
    return side if math.isfinite(side) and side > 0 else 0.0
