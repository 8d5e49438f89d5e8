"""Reads headers and regions of whole slides with OpenSlide."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import openslide

from ssl_kit import DataError, Image
from ssl_kit.data import file_version, keep_open

from .ome import pixel_sides

_CACHE = 64 * 2**20  # bytes of decoded tiles, of all of them together
_SQUARE = 0.05  # relative difference of the sides of a pixel that counts as square
_NO_SCANNER = 20.0  # microns per pixel; what is coarser is the resolution of a printer or screen


@dataclass(frozen=True)
class Header:
    """Header of a slide.

    Attributes:
        height: Height of the finest level in pixels.
        width: Width of the finest level in pixels.
        mpp: Microns per pixel of the finest level.
        downsamples: Downsampling factor of each level, the finest first.
        identity: Identifier that all files of one DICOM slide share; "" for other formats.
        origin: (x, y) of the corner of the scanned area, in pixels of the finest level.
        patient: Identifier of the patient in the header of a DICOM file, "" elsewhere.
    """

    height: int
    width: int
    mpp: float
    downsamples: tuple[float, ...]
    identity: str
    origin: tuple[float, float]
    patient: str = ""


def read_tile(path: Path, level: int, corner: tuple[int, int], size: tuple[int, int]) -> Image:
    """Reads a region of a slide that stays open.

    Args:
        path: The slide.
        level: Number of the level, 0 is the finest.
        corner: (row, column) of the region's first pixel, in pixels of the finest level.
        size: (height, width) of the region in pixels of its level.

    Returns:
        (height, width, 3) RGB; white where the slide has no data.

    Raises:
        DataError: If the file is damaged.
    """
    try:
        return read_region(_kept(path), level, corner, size)
    except DataError:
        _kept.forget(path)  # OpenSlide refuses all work on a slide that failed once
        raise


@keep_open(16)
def _kept(path: Path) -> Any:
    slide = _open(path)
    slide.set_cache(_cache(os.getpid()))
    return slide


@lru_cache(maxsize=1)
def _cache(process: int) -> Any:
    """Returns the cache of decoded tiles that all slides of a process share."""
    return openslide.OpenSlideCache(_CACHE)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Opens a slide, and closes it at the end of the context.

    Raises:
        DataError: If the file is no slide, or damaged.
    """
    slide = _open(path)
    try:
        yield slide
    finally:
        slide.close()


def _open(path: Path) -> Any:
    try:
        file_version(path)
        return openslide.OpenSlide(path)
    except OSError as error:
        raise DataError(f"cannot be opened: {error.strerror}") from error
    except openslide.OpenSlideUnsupportedFormatError as error:
        raise DataError(
            "is no slide that OpenSlide opens: it takes TIFFs with tiles (vips tiffsave --tile "
            "--pyramid makes one) and scanners' own files"
        ) from error
    except openslide.OpenSlideError as error:
        raise DataError(f"is damaged: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "no reason"


def read_header(slide: Any, assumed: float | None) -> Header:
    """Returns the header of an open slide.

    Args:
        slide: From `opened`.
        assumed: Microns per pixel of slides whose header lacks it.

    Raises:
        DataError: If the header lacks the size of a pixel and none is assumed, or if pixels are
            not square.
    """
    properties = slide.properties
    ome = pixel_sides(properties.get("tiff.ImageDescription", ""), slide.dimensions)
    sides = ome or [_number(properties.get(f"openslide.mpp-{axis}", "")) for axis in "xy"]
    known = all(0 < side <= _NO_SCANNER for side in sides)
    if known and max(sides) > (1 + _SQUARE) * min(sides):
        raise DataError(
            f"has pixels that are {sides[0]:g} microns wide and {sides[1]:g} high, so that tiles "
            "would be distorted; resample it to square pixels, for example by vips resize"
        )
    mpp = sum(sides) / 2 if known else assumed
    if mpp is None:
        power = _number(properties.get("openslide.objective-power", ""))
        hint = f" (its objective is {power:g}x, so perhaps {10 / power:g})" if power > 0 else ""
        raise DataError(
            f"does not say how many microns a pixel has; set data.options.assume_mpp{hint}"
        )
    width, height = slide.dimensions
    dicom = properties.get("openslide.vendor") == "dicom"
    identity = properties.get("openslide.quickhash-1", "") if dicom else ""
    left, top = (_number(properties.get(f"openslide.bounds-{axis}", "")) for axis in "xy")
    patient = properties.get("dicom.PatientID", "").strip()
    levels = tuple(slide.level_downsamples)
    return Header(height, width, mpp, levels, identity, (left, top), patient)


def _number(text: str) -> float:
    """Returns a finite number, or 0."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def read_region(slide: Any, level: int, corner: tuple[int, int], size: tuple[int, int]) -> Image:
    """Reads a region of an open slide; see `read_tile`."""
    return on_white(read_rgba(slide, level, corner, size))


def read_rgba(slide: Any, level: int, corner: tuple[int, int], size: tuple[int, int]) -> Image:
    """Reads a region, (height, width, 4) RGBA, transparent where the slide has no data."""
    try:
        return np.asarray(slide.read_region(corner[::-1], level, size[::-1]))
    except openslide.OpenSlideError as error:
        raise DataError(f"is damaged or cut off: {_reason(error)}") from error


def on_white(rgba: Image) -> Image:
    """Shows RGBA on white, (height, width, 3) RGB."""
    alpha = rgba[..., 3:]
    rgb: Image = rgba[..., :3]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgb)
    share = alpha.astype(np.float32) / 255
    return np.rint(rgb * share + 255 * (1 - share)).astype(np.uint8)
