"""Reads headers and windows of files with a radar signal."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from ssl_kit import DataError
from ssl_kit.data import keep_open

NITF = (".ntf", ".nitf")
RASTERS = (".tif", ".tiff", *NITF)
ARRAYS = (".npy",)
_GDAL = {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE", "GDAL_CACHEMAX": 128 << 20}  # bytes
_MOST_BANDS = 16
_LARGEST_BLOCK = 2**28  # bytes that GDAL would allocate at once
_BEST_COMPRESSION = 1100  # deflate reaches 1,032


class Source(ABC):
    """An open file.

    Attributes:
        height: Height in pixels.
        width: Width in pixels.
        names: Names of the polarizations.
        has_phase: Whether the pixels are complex.
    """

    height: int
    width: int
    names: tuple[str, ...]
    has_phase: bool

    @property
    def kind(self) -> str:
        """Number and type of the bands, which the files of a dataset must share."""
        return f"{len(self.names)}-band {'complex' if self.has_phase else 'real'}"

    @abstractmethod
    def read(self, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        """Returns a window (h, w, P), float32 or complex64, NaN where there is no data."""


class ArraySource(Source):
    """A .npy (H, W) or (H, W, P), mapped into memory."""

    def __init__(self, path: Path) -> None:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:
            raise DataError(f"is no NumPy array: {_why(error)}") from error
        if array.dtype.kind not in "uifc" or array.ndim not in (2, 3) or 0 in array.shape:
            raise DataError(f"holds {array.dtype} of shape {array.shape}, no image (H, W[, P])")
        self._path = path
        self.height, self.width, bands = array.shape if array.ndim == 3 else (*array.shape, 1)
        if bands > _MOST_BANDS:
            raise DataError(
                f"its shape {array.shape} is not (H, W, polarizations); a stack of images is "
                "opened with data.reader=arrays"
            )
        self.names = _number(bands)
        self.has_phase = array.dtype.kind == "c"

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        """Copies a window; the file is mapped each time, so that pages that were read are freed."""
        array = np.load(self._path, mmap_mode="r", allow_pickle=False)
        window = array[top : top + height, left : left + width]
        copy = np.array(window, np.complex64 if self.has_phase else np.float32)
        return copy if copy.ndim == 3 else copy[..., None]


class RasterSource(Source):
    """A GeoTIFF or NITF; the I and Q bands of a SICD are one complex polarization."""

    def __init__(self, path: Path) -> None:
        driver = "NITF" if path.suffix.lower() in NITF else "GTiff"
        try:
            with rasterio.Env(**_GDAL), warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                self._file = rasterio.open(path, driver=driver)
        except RasterioError as error:
            raise DataError(f"cannot be opened as {driver}: {_why(error)}") from error
        file = self._file
        self._check(path)
        self.height, self.width = file.height, file.width
        meanings = [_meaning(file, band) for band in file.indexes]
        if "M" in meanings or "P" in meanings:
            raise DataError("its pixels are amplitude and phase of 8 bits, which is not supported")
        self._pairs = meanings[::2] == ["I"] * (file.count // 2) and "Q" in meanings
        self.has_phase = self._pairs or file.dtypes[0].startswith("complex")
        self.names = _names(file, self._pairs)

    def _check(self, path: Path) -> None:
        """Refuses a file that would take too much memory or time."""
        file = self._file
        if file.subdatasets or not file.count:
            raise DataError(f"has {len(file.subdatasets)} image segments; extract one of them")
        if file.count > _MOST_BANDS:
            raise DataError(f"has {file.count} bands; radar images have up to {_MOST_BANDS}")
        size = np.dtype(file.dtypes[0].replace("complex_int16", "complex64")).itemsize
        if max(h * w for h, w in file.block_shapes) * size > _LARGEST_BLOCK:
            raise DataError(f"its blocks of {file.block_shapes[0]} pixels do not fit into memory")
        if file.height * file.width * file.count * size > _BEST_COMPRESSION * path.stat().st_size:
            raise DataError(
                f"declares {file.height} x {file.width} pixels but is only "
                f"{path.stat().st_size} bytes long"
            )

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        """Reads a window."""
        file = self._file
        try:
            with rasterio.Env(**_GDAL):
                data = file.read(window=Window(left, top, width, height))
        except RasterioError as error:
            raise DataError(f"is damaged or cut off: {_why(error)}") from error
        if self._pairs:
            data = data[0::2].astype(np.float32) + 1j * data[1::2].astype(np.float32)
        out = data.astype(np.complex64 if self.has_phase else np.float32)
        if file.nodata is not None and np.isfinite(file.nodata):
            out[data == file.nodata] = np.nan
        return np.ascontiguousarray(out.transpose(1, 2, 0))


@keep_open(32)
def open_source(path: Path) -> Source:
    """Opens a file by its ending.

    Raises:
        DataError: If the file cannot be used.
    """
    return ArraySource(path) if path.suffix.lower() in ARRAYS else RasterSource(path)


def _why(error: Exception) -> str:
    text = str(error.__cause__ or error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")


def _meaning(file: Any, band: int) -> str:
    """Returns the meaning of a band of a NITF: I, Q, M, P, or ""."""
    return str(file.tags(band).get("NITF_ISUBCAT", "")).strip() if file.driver == "NITF" else ""


def _names(file: Any, pairs: bool) -> tuple[str, ...]:
    """Returns the names of the bands in a file, else sar, or band1, band2, ..."""
    names = tuple((text or "").strip().lower() for text in file.descriptions)
    if pairs or not all(names) or len(set(names)) < len(names):
        return _number(file.count // 2 if pairs else file.count)
    return names


def _number(bands: int) -> tuple[str, ...]:
    return ("sar",) if bands == 1 else tuple(f"band{band + 1}" for band in range(bands))
