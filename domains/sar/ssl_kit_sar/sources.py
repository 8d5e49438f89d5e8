"""Reads headers and windows of files with a radar signal."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from ssl_kit import DataError
from ssl_kit.data import keep_open

from .bands import is_auxiliary, meaning_of, names_of, numbered, paired_names
from .sentinel1 import Tables, tables_of

NITF = (".ntf", ".nitf")
RASTERS = (".tif", ".tiff", *NITF)
ARRAYS = (".npy",)
_GDAL = {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE", "GDAL_CACHEMAX": 128 << 20}  # bytes
_MOST_BANDS = 16
_LARGEST_BLOCK = 2**28  # bytes that GDAL would allocate at once
_BEST_COMPRESSION = 1100  # deflate reaches 1,032


@dataclass(frozen=True)
class Decoding:
    """How the numbers of a file become values.

    Attributes:
        nodata: Numbers that mean no data, besides what files declare; 0 if all bands are 0.
        scale: Factor of the numbers, None for that of the file.
        offset: Summand behind the factor, None for that of the file.
        table: Element of Sentinel-1 calibration files that is applied, "" for none.
        denoise: Whether the thermal noise of Sentinel-1 is subtracted.
        named: Number of names that were given. If it is that of all bands of a file, bands that
            are no backscatter by their names, and alpha bands, are used too.
    """

    nodata: tuple[float, ...] = ()
    scale: float | None = None
    offset: float | None = None
    table: str = ""
    denoise: bool = False
    named: int = 0


_PLAIN = Decoding()


class Source(ABC):
    """An open file.

    Attributes:
        height: Height in pixels.
        width: Width in pixels.
        names: Names of the polarizations.
        has_phase: Whether the pixels are complex.
        dtype: Number type of the file.
        hints: Names and units of the bands as the file has them.
        left_out: Names of bands that are no backscatter.
        has_alpha: Whether an alpha band says where there is no data.
        calibrated: Whether Sentinel-1 tables are applied.
        scales: Factors of the bands.
        offsets: Summands of the bands.
    """

    height: int
    width: int
    names: tuple[str, ...]
    has_phase: bool
    dtype: str
    hints: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    has_alpha: bool = False
    calibrated: bool = False
    scales: tuple[float, ...] = (1.0,)
    offsets: tuple[float, ...] = (0.0,)
    decoding: Decoding

    @property
    def kind(self) -> str:
        """Number and type of the bands, which the files of a dataset must share."""
        number_type = "complex" if self.has_phase else "real"
        return f"{'calibrated ' if self.calibrated else ''}{len(self.names)}-band {number_type}"

    @abstractmethod
    def stored(
        self, top: int, left: int, height: int, width: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Returns the numbers of a window (h, w, P), and where the file declares no data."""

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        """Returns a window (h, w, P), float32 or complex64, NaN where there is no data."""
        stored, missing = self.stored(top, left, height, width)
        values = self.scaled(stored)
        if "int" not in self.dtype:  # -inf stays: it is an intensity of 0 in decibels
            values[~np.isfinite(values) if self.has_phase else values == np.inf] = np.nan
        if missing is not None:
            values[missing] = np.nan
        for number in self.decoding.nodata:
            equal = stored == number
            values[equal if number else np.broadcast_to(equal.all(2)[..., None], equal.shape)] = (
                np.nan
            )
        return values

    def scaled(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Returns the values (..., P) of stored numbers: times the scale, plus the offset."""
        with np.errstate(over="ignore"):  # a fill of float64 becomes infinite
            values = np.array(stored, np.complex64 if self.has_phase else np.float32)
        scale = self.scales if self.decoding.scale is None else self.decoding.scale
        offset = self.offsets if self.decoding.offset is None else self.decoding.offset
        if np.any(np.asarray(scale) != 1) or np.any(np.asarray(offset) != 0):
            values = values * np.asarray(scale, np.float32) + np.asarray(offset, np.float32)
        return values

    def sample(self, lines: int = 9) -> NDArray[np.float64]:
        """Returns stored numbers of evenly spaced lines (n, P); NaN where no data is declared."""
        rows = np.unique(np.linspace(0, self.height - 1, min(lines, self.height)).astype(int))
        parts = []
        for row in rows.tolist():
            stored, missing = self.stored(row, 0, 1, self.width)
            numbers = stored.astype(np.float64)
            numbers[np.isinf(numbers)] = np.nan
            if missing is not None:
                numbers[missing] = np.nan
            parts.append(numbers.reshape(-1, numbers.shape[2]))
        return np.concatenate(parts)


class ArraySource(Source):
    """A .npy (H, W) or (H, W, P), mapped into memory."""

    def __init__(self, path: Path, decoding: Decoding = _PLAIN) -> None:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:
            raise DataError(f"is no NumPy array: {_why(error)}") from error
        if array.dtype.kind not in "uifc" or array.ndim not in (2, 3) or 0 in array.shape:
            raise DataError(f"holds {array.dtype} of shape {array.shape}, no image (H, W[, P])")
        self._path, self.decoding = path, decoding
        self.height, self.width, bands = array.shape if array.ndim == 3 else (*array.shape, 1)
        if bands > _MOST_BANDS:
            raise DataError(
                f"its shape {array.shape} is not (H, W, polarizations); a stack of images is "
                "opened with data.reader=arrays"
            )
        self.names = numbered(bands)
        self.has_phase, self.dtype = array.dtype.kind == "c", array.dtype.name

    def stored(
        self, top: int, left: int, height: int, width: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Maps the file each time, so that pages that were read are freed."""
        array = np.load(self._path, mmap_mode="r", allow_pickle=False)
        window = array[top : top + height, left : left + width]
        return (window if window.ndim == 3 else window[..., None]), None


class RasterSource(Source):
    """A GeoTIFF or NITF; the I and Q bands of a SICD are one complex polarization."""

    def __init__(self, path: Path, decoding: Decoding = _PLAIN) -> None:
        self._file = file = _open_raster(path)
        self._check(path)
        self.decoding = decoding
        self.height, self.width, self.dtype = file.height, file.width, file.dtypes[0]
        self._interpret_bands()
        flags = file.mask_flag_enums[0]
        self._has_mask = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        self._tables: Tables | None = None
        if decoding.table and len(self.names) == 1:
            self._tables = tables_of(path, decoding.table, decoding.denoise)
        self.calibrated = self._tables is not None

    def _interpret_bands(self) -> None:
        """Chooses the bands that are backscatter, and finds their names and scales."""
        file = self._file
        texts = dict(zip(file.indexes, file.descriptions, strict=True))
        every = self.decoding.named == file.count
        alphas = [] if every else _alphas(file)
        signals = [b for b in texts if every or not (b in alphas or is_auxiliary(texts[b]))]
        self._bands = signals or list(texts)
        self._alphas = alphas if signals else []
        self.has_alpha = bool(self._alphas)
        others = [band for band in texts if band not in self._bands and band not in alphas]
        self.left_out = tuple(str(texts[band]) for band in others)
        descriptions = [texts[band] for band in self._bands]
        meanings = [meaning_of(file, band) for band in self._bands]
        if "M" in meanings or "P" in meanings:
            raise DataError("its pixels are amplitude and phase of 8 bits, which is not supported")
        nitf_pairs = meanings[::2] == ["I"] * (len(meanings) // 2) and "Q" in meanings
        named_pairs = paired_names(descriptions)
        self._pairs = nitf_pairs or named_pairs is not None
        self.has_phase = self._pairs or self.dtype.startswith("complex")
        self.names = named_pairs or names_of(descriptions, nitf_pairs)
        of_bands = [band - 1 for band in self._bands]
        self.hints = tuple(filter(None, [*descriptions, *(file.units[b] for b in of_bands)]))
        one_each = of_bands[:: 2 if self._pairs else 1]
        self.scales = tuple(file.scales[band] for band in one_each)
        self.offsets = tuple(file.offsets[band] for band in one_each)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _check(self, path: Path) -> None:
        """Refuses a file that would take too much memory or time."""
        file = self._file
        if file.subdatasets or not file.count:
            raise DataError(f"has {len(file.subdatasets)} image segments; extract one of them")
        if ColorInterp.palette in file.colorinterp:
            raise DataError("its numbers are indices of a color table, no backscatter")
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

    def stored(
        self, top: int, left: int, height: int, width: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Reads a window."""
        file, window = self._file, Window(left, top, width, height)
        try:
            with rasterio.Env(**_GDAL):
                data = file.read(self._bands, window=window)
                masked = file.read_masks(1, window=window) == 0 if self._has_mask else None
                opacity = file.read(self._alphas, window=window) if self._alphas else None
        except RasterioError as error:
            raise DataError(f"is damaged or cut off: {_why(error)}") from error
        if self._pairs:
            data = data[0::2].astype(np.float32) + 1j * data[1::2].astype(np.float32)
        data = np.ascontiguousarray(data.transpose(1, 2, 0))
        missing = None
        if masked is not None:
            missing = np.broadcast_to(masked[..., None], data.shape)
        elif file.nodata is not None and np.isfinite(file.nodata):
            missing = data == file.nodata
        if opacity is not None:
            clear = np.broadcast_to((opacity == 0).any(0)[..., None], data.shape)
            missing = clear if missing is None else missing | clear
        return data, missing

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        """Reads a window; the tables of Sentinel-1 make amplitudes of its numbers."""
        values = super().read(top, left, height, width)
        return values if self._tables is None else self._tables.apply(values, top, left)


@keep_open(32)
def open_source(path: Path, decoding: Decoding = _PLAIN) -> Source:
    """Opens a file by its ending.

    Raises:
        DataError: If the file cannot be used.
    """
    reader = ArraySource if path.suffix.lower() in ARRAYS else RasterSource
    return reader(path, decoding)


def _open_raster(path: Path) -> Any:
    driver = "NITF" if path.suffix.lower() in NITF else "GTiff"
    try:
        with rasterio.Env(**_GDAL), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(path, driver=driver)
    except RasterioError as error:
        raise DataError(f"cannot be opened as {driver}: {_why(error)}") from error


def _alphas(file: Any) -> list[int]:
    """Returns the numbers of the alpha bands of an open raster."""
    meanings = zip(file.indexes, file.colorinterp, file.descriptions, strict=True)
    return [
        band
        for band, meaning, text in meanings
        if meaning == ColorInterp.alpha and (text or "").strip().lower() in ("", "alpha", "mask")
    ]


def _why(error: Exception) -> str:
    text = str(error.__cause__ or error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
