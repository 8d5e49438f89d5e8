"""Headers of raster files."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

_NEVER_MISSING = ("uint8", "int8", "int16", "int32")  # unless declared
_COLORS = {"red", "green", "blue", "nir", "rededge", "coastal", "yellow", "pan"}


@dataclass(frozen=True)
class Header:
    """Header of a raster file.

    Attributes:
        height: Height of the raster in pixels.
        width: Width of the raster in pixels.
        bands: 1-based numbers of the bands, without an alpha band, which is a mask.
        names: Names of these bands: the description, a color, or "".
        dtype: Number type of the pixels.
        masked: Whether some pixels may hold no data.
        crs: Coordinate reference system as WKT, "" if there is none.
        transform: a, b, c, d, e, f of x = a col + b row + c, y = d col + e row + f.
        calibration: Gain and offset of each band; () if the file declares none.
        palette: Whether the bands are the colors of a table, whose entries the file holds.
        pages: Number of images in the file; only the first is read.
        hidden: Whether ImageJ wrote further images behind the first, which are no pages.
    """

    height: int
    width: int
    bands: tuple[int, ...]
    names: tuple[str, ...]
    dtype: str
    masked: bool
    crs: str = ""
    transform: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    calibration: tuple[tuple[float, float], ...] = ()
    palette: bool = False
    pages: int = 1
    hidden: bool = False

    @property
    def pixel(self) -> float:
        """Width of a pixel in the unit of the map."""
        return math.hypot(self.transform[0], self.transform[3])

    def at(self, resolution: float | None) -> Header:
        """Returns the grid over the same ground with pixels of another size."""
        if resolution is None or math.isclose(resolution, self.pixel, rel_tol=1e-6):
            return self
        factor = resolution / self.pixel
        a, b, c, d, e, f = self.transform
        return replace(
            self,
            height=max(1, round(self.height / factor)),
            width=max(1, round(self.width / factor)),
            transform=(a * factor, b * factor, c, d * factor, e * factor, f),
        )

    def same_grid(self, other: Header) -> bool:
        """Tells whether pixels of both cover the same ground, to a hundredth of a pixel."""
        if (self.height, self.width, self.crs) != (other.height, other.width, other.crs):
            return False
        near = 0.01 * self.pixel
        return bool(np.allclose(self.transform, other.transform, rtol=1e-9, atol=near))


def alphas_of(raster: Any, no_alpha: bool) -> list[int]:
    """Returns the numbers of the bands that are called alpha and nothing else."""
    if no_alpha:
        return []
    meanings = zip(raster.indexes, raster.colorinterp, raster.descriptions, strict=True)
    return [
        number
        for number, meaning, name in meanings
        if meaning == ColorInterp.alpha and (name or "").strip().lower() in ("", "alpha", "mask")
    ]


def palette_of(raster: Any) -> NDArray[np.uint8] | None:
    """Returns the color table (n, 4) of a raster of one band: red, green, blue, opacity.

    Returns:
        None if there is none, or if its colors are the numbers themselves, as shades of gray.
    """
    if raster.count != 1 or raster.colorinterp[0] != ColorInterp.palette:
        return None
    try:
        entries = raster.colormap(1)
    except ValueError:
        return None
    table = np.zeros((max(entries, default=0) + 1, 4), np.uint8)
    for number, color in entries.items():
        table[number] = color
    numbers = np.arange(len(table))[:, None]
    return None if (table[:, :3] == numbers).all() else table


def header_of(raster: Any, no_alpha: bool, colors: bool = True) -> Header:
    """Reads the header of an open raster; the flags are as in `Rasters`."""
    table = palette_of(raster) if colors else None
    if table is not None:
        transparent = bool((table[:, 3] == 0).any())
        return replace(
            _header(raster, (1,), no_alpha),
            bands=(1, 2, 3),
            names=("red", "green", "blue"),
            dtype="uint8",
            masked=declares(raster, no_alpha) or transparent,
            calibration=(),
            palette=True,
        )
    alphas = alphas_of(raster, no_alpha)
    bands = tuple(number for number in raster.indexes if number not in alphas)
    return _header(raster, bands, no_alpha)


def _header(raster: Any, bands: tuple[int, ...], no_alpha: bool) -> Header:
    tags = tuple((raster.scales[band - 1], raster.offsets[band - 1]) for band in bands)
    dtype = raster.dtypes[0]
    return Header(
        height=raster.height,
        width=raster.width,
        bands=bands,
        names=_names(raster, bands),
        dtype=dtype,
        masked=declares(raster, no_alpha) or dtype not in _NEVER_MISSING,
        crs=sys.intern(raster.crs.to_wkt()) if raster.crs else "",
        transform=tuple(raster.transform)[:6],
        calibration=tags if any(tag != (1.0, 0.0) for tag in tags) else (),
        pages=max(1, len(raster.subdatasets)),
        hidden=_images_of(raster) > max(1, len(raster.subdatasets)),
    )


def _images_of(raster: Any) -> int:
    """Returns the number of images that ImageJ says it wrote into a file, 1 if it is of another."""
    text = raster.tags().get("TIFFTAG_IMAGEDESCRIPTION", "")
    images = re.search(r"^images=(\d+)\s*$", text, re.M) if text.startswith("ImageJ=") else None
    return int(images[1]) if images else 1


def _names(raster: Any, bands: tuple[int, ...]) -> tuple[str, ...]:
    """Returns the described names, or the colors, or ""."""
    described = tuple((raster.descriptions[band - 1] or "").strip() for band in bands)
    if all(described) and len({name.lower() for name in described}) == len(described):
        return described
    colors = [raster.colorinterp[band - 1].name.lower() for band in bands]
    return tuple(c if c in _COLORS and colors.count(c) == 1 else "" for c in colors)


def declares(raster: Any, no_alpha: bool) -> bool:
    """Tells whether a file declares which of its pixels hold no data."""
    return has_mask(raster) or bool(alphas_of(raster, no_alpha))


def has_mask(raster: Any) -> bool:
    """Tells whether a file has a value that means no data, or a mask that is no band."""
    flags = {flag.name for flag in raster.mask_flag_enums[0]} - {"all_valid"}
    return bool(flags) and "alpha" not in flags
