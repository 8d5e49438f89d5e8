"""Radar scenes and chips in GeoTIFF, NITF and .npy; large ones are cut into tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssl_kit import DataError, UsageError
from ssl_kit.data import FileDataset, grid, most_frequent_kind, parents_of, tile_key, tile_starts

from .images import SarConfig, SarImages
from .sources import ARRAYS, RASTERS, Source, open_source

_LINES = 3  # lines of each row of tiles that are read to find pixels without data
Ints = NDArray[np.int64]


class SarRasterConfig(SarConfig):
    """Options of the raster reader."""

    tile: Annotated[
        int, Field(ge=16, description="height and width of a tile in pixels after multilooking")
    ] = 256
    stride: Annotated[
        int | None,
        Field(ge=1, description="pixels from tile to tile (default: its size)"),
    ] = None
    range_axis: Annotated[
        Literal["columns", "rows"],
        Field(description="direction of range in the file; in images it runs along the rows"),
    ] = "columns"
    stored: Annotated[
        Literal["amplitude", "intensity", "db"],
        Field(description="meaning of real pixel values; Sentinel-1 GRD holds amplitudes"),
    ] = "amplitude"
    polarizations: Annotated[
        tuple[str, ...], Field(description="names of the bands (default: those in the file)")
    ] = ()
    max_nodata: Annotated[
        float,
        Field(ge=0, le=1, description="largest share of pixels without data in a tile"),
    ] = 0.5


class SarRaster(SarImages, FileDataset):
    """Complex or detected radar products: GeoTIFF, NITF (SICD included) and .npy.

    Pixels without data become the lowest value: those that a file declares, NaN, and 0 in all
    polarizations. Labels, groups and splits are declared per file, as for an image folder, and
    hold for all its tiles. The files must agree in their number of bands and in being complex or
    not: those that differ from the most frequent kind are unreadable, which is counted.
    """

    Config = SarRasterConfig
    options: SarRasterConfig
    suffixes = RASTERS + ARRAYS
    rivals = (".jpg", ".jpeg", ".png")

    def prepare(self) -> None:
        """Reads the header of each file and decides on its tiles."""
        super().prepare()
        sizes = self._measure()
        first = self._source(next(iter(sizes)))
        names = self.options.polarizations or first.names
        if len(names) != len(first.names):
            raise UsageError(
                f"data.options.polarizations has {len(names)} names for {len(first.names)} bands."
            )
        self.name_channels(names, first.has_phase)
        self._cut(sizes)

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes two small complex scenes, of which one is cut into two tiles."""
        rng = np.random.default_rng(0)
        for name, height in (("a", 300), ("b", 60)):
            parts = rng.standard_normal((2, height, 64), np.float32)
            np.save(folder / f"{name}.npy", parts[0] + 1j * parts[1])
        return folder

    def _source(self, file: int) -> Source:
        return open_source(self.path_of(file))

    def _measure(self) -> dict[int, tuple[int, int]]:
        """Returns height and width of the files of the most frequent kind."""

        def look(file: int) -> tuple[str, tuple[int, int]]:
            source = self._source(file)
            return source.kind, (source.height, source.width)

        facts = self.inspect(look)
        kinds = [kind for kind, _ in facts.values()]
        kept = most_frequent_kind(kinds, self.kind, self.path)
        for file, (kind, _) in facts.items():
            if kind != kept:
                self.faults[file] = f"is {kind} where most files are {kept}"
        return {file: size for file, (kind, size) in facts.items() if kind == kept}

    @property
    def _per_pixel(self) -> Ints:
        """Rows and columns of the file that make one pixel of an image."""
        azimuth, across = self.options.looks
        along_rows = self.options.range_axis == "columns"
        return np.array([azimuth, across] if along_rows else [across, azimuth])

    def _cut(self, sizes: dict[int, tuple[int, int]]) -> None:
        """Sets the index: the tiles of the good files, and one entry for each faulty one."""
        corners, windows, keys = [], [], []
        for file in range(len(self.files)):
            name, size = self.files.key(file), sizes.get(file, (0, 0))
            window = self._window(size)
            corner = self._corners(file, size, window) if file in sizes else _ORIGIN
            whole = tuple(window) == size or file in self.faults
            keys += [name if whole else tile_key(name, row, col) for row, col in corner.tolist()]
            corners.append(corner)
            windows.append(np.tile(window, (len(corner), 1)))
        if not keys:
            raise DataError(
                f"All tiles of '{self.path}' have too little data. Raise data.options.max_nodata."
            )
        self._file = parents_of(corners).astype(np.int32)
        self._corner = np.concatenate(corners).astype(np.int32)
        self._size = np.concatenate(windows).astype(np.int32)
        self.index = self.files.expand(self._file, keys, self._corner + self._size / 2)

    def _window(self, size: tuple[int, int]) -> Ints:
        """Returns height and width of the tiles of a file of this size, in pixels of the file."""
        return np.minimum(self.options.tile * self._per_pixel, size)

    def _corners(self, file: int, size: tuple[int, int], window: Ints) -> Ints:
        """Returns (n, 2) first row and column of the tiles that hold enough data."""
        stride = (self.options.stride or self.options.tile) * self._per_pixel
        rows, cols = (tile_starts(*side) for side in zip(size, window, stride, strict=True))
        if len(rows) * len(cols) == 1:
            return _ORIGIN
        try:
            shares = np.stack([self._data_share(file, row, window, cols) for row in rows.tolist()])
        except DataError as error:
            self.faults[file] = str(error)
            return _ORIGIN
        return grid(rows, cols)[(shares >= 1 - self.options.max_nodata).ravel()]

    def _data_share(self, file: int, row: int, window: Ints, cols: Ints) -> NDArray[np.float64]:
        """Returns the share of pixels with data in each tile of a row, estimated on a few lines."""
        source = self._source(file)
        height, width = window.tolist()
        places = [row + (2 * k + 1) * height // (2 * _LINES) for k in range(_LINES)]
        lines = [source.read(place, 0, 1, source.width)[0] for place in places]
        has_data = np.mean([(np.isfinite(line) & (line != 0)).any(1) for line in lines], axis=0)
        sums = np.concatenate([[0.0], has_data.cumsum()])
        share: NDArray[np.float64] = (sums[cols + width] - sums[cols]) / width
        return share

    def signal(self, i: int) -> NDArray[Any]:
        """Returns tile i, (H, W, P), range along the rows: complex, or the intensity."""
        file = int(self._file[i])
        self.refuse_faulty(file)
        (row, col), (height, width) = self._corner[i].tolist(), self._size[i].tolist()
        signal = self._source(file).read(row, col, height, width)
        if self.options.range_axis == "columns":
            signal = np.ascontiguousarray(signal.swapaxes(0, 1))
        if np.iscomplexobj(signal) or self.options.stored == "intensity":
            return signal
        return signal**2 if self.options.stored == "amplitude" else 10 ** (signal / 10)


_ORIGIN = np.zeros((1, 2), np.int64)
