"""Raster files through rasterio: what they hold, and windows of them."""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from ssl_kit import DataError, Image

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
_NEVER_MISSING = ("uint8", "int8", "int16", "int32")  # unless declared
# Landsat, Sentinel-2 and most others write 0 outside of the scene, and often do not declare it.
_ZERO_FILLED = (np.dtype("uint16"), np.dtype("uint32"))
_OPEN = 32  # files kept open in each process
_GDAL = {
    # Without this GDAL lists the whole folder for every file it opens.
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    "GDAL_CACHEMAX": 128,  # MB; its own default is a share of the machine, in each process
}
_COLOURS = {"red", "green", "blue", "nir", "rededge", "coastal", "yellow", "pan"}


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        height: Of the raster in pixels.
        width: Of the raster in pixels.
        bands: 1-based numbers of its bands, without an alpha band, which is a mask.
        names: Of these bands.
        dtype: Of the pixels.
        masked: Whether some pixels may hold no data.
    """

    height: int
    width: int
    bands: tuple[int, ...]
    names: tuple[str, ...]
    dtype: str
    masked: bool

    @property
    def kind(self) -> str:
        """What the files of one dataset must have in common."""
        return f"{len(self.bands)}-band {self.dtype}"


class Rasters:
    """Files, the last used of them kept open in each process.

    Args:
        nodata: Value that means no data, besides what the files themselves declare.
    """

    def __init__(self, nodata: float | None) -> None:
        self.nodata = nodata
        self._pid = os.getpid()
        self._open: OrderedDict[Path, Any] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the open files behind: a spawned process opens its own."""
        return {**self.__dict__, "_open": OrderedDict(), "_pid": -1}

    def header(self, path: Path) -> Header:
        """Reads what a file says of itself; it is not kept open.

        Raises:
            DataError: If the file is none that can be used.
        """
        with rasterio.Env(**_GDAL), _open(path) as raster:
            if raster.dtypes[0] not in DTYPES:
                raise DataError(f"its pixels are {raster.dtypes[0]}, which this reader cannot use")
            bands = tuple(
                number
                for number, meaning in zip(raster.indexes, raster.colorinterp, strict=True)
                if meaning != ColorInterp.alpha
            )
            dtype = raster.dtypes[0]
            masked = _declares(raster) or self.nodata is not None or dtype not in _NEVER_MISSING
            return Header(raster.height, raster.width, bands, _names(raster, bands), dtype, masked)

    def read(
        self, path: Path, bands: tuple[int, ...], window: Window, shape: tuple[int, int]
    ) -> Image:
        """Reads a window of a file, thinned out to a shape.

        Args:
            path: The file.
            bands: 1-based numbers.
            window: In pixels of the file.
            shape: (h, w) of the result; that of the window for every pixel.

        Returns:
            (h, w, C): uint8 with 0 where there is no data, or float32 with NaN there.

        Raises:
            DataError: If the file is damaged.
        """
        with rasterio.Env(**_GDAL):
            data, missing = self._load(self._get(path), bands, window, shape)
        if data.dtype == np.uint8:
            filled = np.where(missing, np.uint8(0), data)
        else:
            filled = np.where(missing, np.float32(np.nan), data.astype(np.float32))
        return np.ascontiguousarray(filled.transpose(1, 2, 0))

    def thin_mask(self, path: Path, header: Header, band: int, step: int) -> NDArray[np.bool_]:
        """Returns where a band has no data, (H / step, W / step), from one pixel in step x step.

        GDAL reads block by block, or an overview, so that memory stays flat.

        Raises:
            DataError: If the file is damaged.
        """
        shape = (max(1, header.height // step), max(1, header.width // step))
        everything = Window(0, 0, header.width, header.height)
        with rasterio.Env(**_GDAL), _open(path) as raster:
            mask: NDArray[np.bool_] = self._load(raster, (band,), everything, shape)[1][0]
        return mask

    def _load(
        self, raster: Any, bands: tuple[int, ...], window: Window, shape: tuple[int, int]
    ) -> tuple[Image, NDArray[np.bool_]]:
        """Returns (C, h, w) pixels, and where they hold no data."""
        try:
            got = raster.read(
                list(bands), window=window, out_shape=(len(bands), *shape), masked=True
            )
        except (RasterioError, IndexError) as error:
            raise DataError(f"is damaged or cut off: {_reason(error)}") from error
        data, missing = got.data, np.ma.getmaskarray(got)
        if self.nodata is not None:
            missing = missing | (data == self.nodata)
        elif data.dtype in _ZERO_FILLED and not _declares(raster):
            missing = missing | (data == 0).all(0)
        if data.dtype.kind == "f":
            missing = missing | ~np.isfinite(data)
        return data, missing

    def _get(self, path: Path) -> Any:
        if self._pid != os.getpid():  # a fork: its files share their place with the parent's
            self._open, self._pid = OrderedDict(), os.getpid()
        if path not in self._open:
            self._open[path] = _open(path)
        self._open.move_to_end(path)
        if len(self._open) > _OPEN:
            self._open.popitem(last=False)[1].close()
        return self._open[path]


def _open(path: Path) -> Any:
    if not path.stat().st_size:
        raise DataError("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a plain TIFF is fine here
            return rasterio.open(path, driver="GTiff")
    except RasterioError as error:
        raise DataError(f"is no TIFF that can be opened: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Returns the message of what lies beneath: rasterio's own often only points there."""
    cause = error.__cause__ or error
    return str(cause).strip().rstrip(".")


def _names(raster: Any, bands: tuple[int, ...]) -> tuple[str, ...]:
    """Returns the described names, or the colours, or band1, band2, ..."""
    described = tuple((raster.descriptions[band - 1] or "").strip().lower() for band in bands)
    if all(described) and len(set(described)) == len(described):
        return described
    colours = [raster.colorinterp[band - 1].name.lower() for band in bands]
    return tuple(
        colour if colour in _COLOURS and colours.count(colour) == 1 else f"band{band}"
        for band, colour in zip(bands, colours, strict=True)
    )


def _declares(raster: Any) -> bool:
    """Tells whether a file says which of its pixels hold no data."""
    return any(flag.name != "all_valid" for flag in raster.mask_flag_enums[0])
