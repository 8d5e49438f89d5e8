"""Reads headers and windows of raster files with rasterio."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Interleaving, Resampling
from rasterio.errors import NodataShadowWarning, NotGeoreferencedWarning, RasterioError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ssl_kit import DataError, Image
from ssl_kit.data import file_version, keep_open

from .headers import Header, alphas_of, declares, has_mask, header_of, palette_of

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
# Landsat, Sentinel-2 and most others write 0 outside of the scene, and often do not declare it.
_ZERO_FILLED = ("uint16", "uint32")
_GDAL = {
    # Without this GDAL lists the whole folder for every file it opens.
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    # Bytes: rasterio does not take it for MB as GDAL does. GDAL's own default is a share of the
    # machine, in each process.
    "GDAL_CACHEMAX": 128 << 20,
}
_DRIVERS = {".jp2": "JP2OpenJPEG"}
_BLOCK = 1 << 30  # bytes that GDAL may have to decode for one pixel
_PACKED = 50_000  # pixels for each byte of a file, more than any compression of real data


@dataclass(frozen=True)
class Rasters:
    """Reads raster files; the files used last stay open.

    Attributes:
        nodata: Value that means no data, besides what the files themselves declare.
        resolution: Size of a pixel of all grids in the unit of the map, None for that of the files.
        colors: Whether the numbers of a raster with a color table become its colors.
        fills: Values that mean no data although the files do not declare them.
        zero: Whether 0 in all bands means no data in files that declare nothing.
        no_alpha: Whether no band is a mask, whatever the files say. GDAL calls the fourth band of
            uint8 files alpha unless the file says otherwise, even if the band has a description.
    """

    nodata: float | None
    resolution: float | None = None
    no_alpha: bool = False
    colors: bool = True
    fills: tuple[float, ...] = ()
    zero: bool = False

    def header(self, path: Path) -> Header:
        """Reads the header of a file, which is not kept open.

        Raises:
            DataError: If the file is none that can be used.
        """
        with rasterio.Env(**_GDAL), _open(path) as raster:
            if raster.dtypes[0] not in DTYPES:
                raise DataError(f"its pixels are {raster.dtypes[0]}, which this reader cannot use")
            _check_size(raster, path)
            header = header_of(raster, self.no_alpha, self.colors)
            return replace(header, masked=header.masked or self.nodata is not None)

    def read(
        self,
        path: Path,
        bands: tuple[int, ...],
        window: Window,
        shape: tuple[int, int],
        like: Path | None = None,
    ) -> tuple[Image, NDArray[np.bool_]]:
        """Reads a window, subsampled to a shape.

        Args:
            path: The file.
            bands: 1-based numbers.
            window: In pixels of the grid.
            shape: (h, w) of the result; that of the window for every pixel.
            like: The file whose grid it is; resampled to it where that of `path` is another.

        Returns:
            (C, h, w) pixels as stored, and where they hold no data.

        Raises:
            DataError: If the file is damaged.
        """
        with rasterio.Env(**_GDAL):
            opened = _open_on_grid(path, like or path, self)
            if opened.colors is None:
                return self._load(opened, bands, window, shape)
            numbers, missing = self._load(opened, (1,), window, shape)
        colors = opened.colors[numbers[0].clip(0, len(opened.colors) - 1)].transpose(2, 0, 1)
        missing = missing | (colors[3:] == 0)
        return colors[[band - 1 for band in bands]], missing.repeat(len(bands), axis=0)

    def thin(
        self, path: Path, band: int, shape: tuple[int, int]
    ) -> tuple[Image, NDArray[np.bool_]]:
        """Reads a whole band, subsampled to (h, w) by the nearest pixel.

        GDAL reads block by block, or an overview, so that memory stays flat.

        Returns:
            (h, w) pixels, and where they hold no data.

        Raises:
            DataError: If the file is damaged.
        """
        with rasterio.Env(**_GDAL), _open(path) as raster:
            everything = Window(0, 0, raster.width, raster.height)
            opened = _Opened(raster, alphas_of(raster, self.no_alpha))
            data, missing = self._load(opened, (band,), everything, shape)
        return data[0], missing[0]

    def may_miss(self, header: Header) -> bool:
        """Tells whether pixels of a file may hold no data."""
        return header.masked or bool(self.fills) or self.zero

    def _load(
        self, opened: _Opened, bands: tuple[int, ...], window: Window, shape: tuple[int, int]
    ) -> tuple[Image, NDArray[np.bool_]]:
        """Returns (C, h, w) pixels as stored, and where they hold no data."""
        raster, masked = opened.raster, has_mask(opened.raster)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NodataShadowWarning)  # GDAL's rule is ours
                pixels = raster.read(
                    list(bands), window=window, out_shape=(len(bands), *shape), masked=masked
                )
                data, missing = np.ma.getdata(pixels), np.ma.getmaskarray(pixels)
                for alpha in opened.alphas:  # GDAL applies them in files of two or four bands only
                    missing = missing | (raster.read(alpha, window=window, out_shape=shape) == 0)
        except (RasterioError, IndexError) as error:
            raise DataError(f"is damaged or cut off: {_reason(error)}") from error
        if self.nodata is not None:
            missing = missing | (data == self.nodata)
        elif (self.zero or data.dtype.name in _ZERO_FILLED) and not (masked or opened.alphas):
            missing = missing | (data == 0).all(0)
        if self.fills:
            missing = missing | np.isin(data, self.fills)
        if data.dtype.kind == "f":
            missing = missing | ~np.isfinite(data)
        return data, missing


@dataclass(frozen=True)
class _Opened:
    """An open raster.

    Attributes:
        raster: The raster.
        alphas: Numbers of the bands that are masks. They are looked up when the file is opened,
            because rasterio raises the error of a failed read again at the next look.
        colors: Color table (n, 4) if the numbers are to become colors.
    """

    raster: Any
    alphas: list[int]
    colors: NDArray[np.uint8] | None = None

    def close(self) -> None:
        self.raster.close()


@keep_open(64)
def _open_on_grid(path: Path, like: Path, rasters: Rasters) -> _Opened:
    raster = _open(path)
    colors = palette_of(raster) if rasters.colors else None
    nearest = colors is not None  # between two numbers there is no color
    raster = _on_grid(raster, path, like, rasters, nearest)
    return _Opened(raster, _alphas_of(raster, rasters.no_alpha), colors)


def _on_grid(raster: Any, path: Path, like: Path, rasters: Rasters, nearest: bool) -> Any:
    """Puts a raster on the grid of a file; bilinear, and larger pixels are averages."""
    if rasters.resolution is None and path == like:
        return raster
    with _open(like) as other:
        header = header_of(raster, rasters.no_alpha)
        grid = header_of(other, rasters.no_alpha).at(rasters.resolution)
    if header.same_grid(grid):
        return raster
    if not header.crs or not grid.crs:
        raise DataError("has another size than its scene, and no map that tells where it lies")
    nodata = _nodata_of(raster, rasters)
    fill = {} if nodata is None else {"src_nodata": nodata, "nodata": nodata}
    if nodata is None and not alphas_of(raster, rasters.no_alpha):
        fill = {"add_alpha": True}
    try:
        return WarpedVRT(
            raster,
            crs=grid.crs,
            transform=Affine(*grid.transform),
            height=grid.height,
            width=grid.width,
            resampling=Resampling.nearest if nearest else Resampling.bilinear,
            **fill,
        )
    except (RasterioError, ValueError) as error:
        raise DataError(f"cannot be put on the grid of its scene: {_reason(error)}") from error


def _alphas_of(raster: Any, no_alpha: bool) -> list[int]:
    """Returns the numbers of the bands that are masks, also one that a change of grid added."""
    if isinstance(raster, WarpedVRT) and raster.count > raster.src_dataset.count:
        return [raster.count]
    return alphas_of(raster, no_alpha)


def _nodata_of(raster: Any, rasters: Rasters) -> float | None:
    """Returns the value that means no data: given, declared, or usual for the type; else None."""
    nodata = raster.nodata if rasters.nodata is None else rasters.nodata
    dtype = raster.dtypes[0]
    if nodata is None and not declares(raster, rasters.no_alpha):
        if rasters.fills:
            return rasters.fills[0]
        if rasters.zero or dtype in _ZERO_FILLED:
            return 0
    return math.nan if nodata is None and dtype.startswith("float") else nodata


def _open(path: Path) -> Any:
    file_version(path)
    driver = _DRIVERS.get(path.suffix.lower(), "GTiff")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a plain TIFF is fine here
            return rasterio.open(path, driver=driver)
    except RasterioError as error:
        kind = "TIFF" if driver == "GTiff" else "JPEG 2000 file"
        raise DataError(f"is no {kind} that can be opened: {_reason(error)}") from error


def _check_size(raster: Any, path: Path) -> None:
    """Refuses a file whose header declares more pixels than the file can hold."""
    height, width = raster.block_shapes[0]
    together = raster.count if raster.interleaving == Interleaving.pixel else 1
    if height * width * together * np.dtype(raster.dtypes[0]).itemsize > _BLOCK:
        raise DataError(
            f"its blocks are {height} x {width} pixels, too large to read one at a time; "
            "rewrite it in tiles, for example with 'rio convert --co tiled=true'"
        )
    if raster.height * raster.width > _PACKED * path.stat().st_size:
        raise DataError(
            f"says it has {raster.height} x {raster.width} pixels, which its "
            f"{path.stat().st_size} bytes cannot hold"
        )


def _reason(error: Exception) -> str:
    """Returns the message of the underlying error, to which that of rasterio often only refers."""
    cause = error.__cause__ or error
    return " ".join(str(cause).split()).rstrip(".")
