"""Radar scenes and chips in GeoTIFF, NITF and .npy; large ones are cut into tiles."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from ssl_kit import DataError, Index, UsageError
from ssl_kit.data import file_path, index_files

from .images import SarConfig, SarImages
from .sources import ARRAYS, RASTERS, Source, Sources

SUFFIXES = RASTERS + ARRAYS
_PICTURES = (".jpg", ".jpeg", ".png")
_LOOKED_AT = 1000  # files of a folder that decide whether it is one for this reader
_LINES = 3  # of each row of tiles that are looked at for pixels without data
Ints = NDArray[np.int64]


class SarRasterConfig(SarConfig):
    """Options of the raster reader."""

    tile: Annotated[
        int, Field(ge=16, description="pixels after multilooking, height and width of a tile")
    ] = 256
    stride: Annotated[
        int | None, Field(ge=1, description="pixels from tile to tile; a tile if left out")
    ] = None
    range_axis: Annotated[
        Literal["columns", "rows"],
        Field(description="direction of range in the file; images have it along the rows"),
    ] = "columns"
    stored: Annotated[
        Literal["amplitude", "intensity", "db"],
        Field(description="what real pixels are; Sentinel-1 GRD holds amplitudes"),
    ] = "amplitude"
    polarizations: Annotated[
        tuple[str, ...], Field(description="names of the bands; the file's if left out")
    ] = ()
    max_nodata: Annotated[
        float, Field(ge=0, le=1, description="tiles with a larger share of no data are left out")
    ] = 0.5


class SarRaster(SarImages):
    """Complex or detected radar products: GeoTIFF, NITF (SICD included) and .npy.

    Pixels without data, which become the lowest value, are what a file declares, NaN, and 0 in
    all polarizations. Labels, groups and splits are declared per file, as for an image folder, and
    hold for all its tiles. The files must agree in their number of bands and in being complex or
    not: those that differ from the most frequent kind are unreadable, which is counted.
    """

    Config = SarRasterConfig
    options: SarRasterConfig

    def __init__(
        self,
        path: Path,
        options: SarRasterConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> None:
        super().__init__(options, value_range)
        self._root, self._sources = path, Sources()
        self._files = index_files(path, SUFFIXES, labels)
        sizes, kept, self._broken = self._look()
        names = options.polarizations or kept.names
        if len(names) != len(kept.names):
            raise UsageError(
                f"data.options.polarizations has {len(names)} names for {len(kept.names)} bands."
            )
        self.name_channels(names, kept.has_phase)
        self._cut(sizes)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is such a file, or a folder with more of them than pictures."""
        if not path.is_dir():
            return path.suffix.lower() in SUFFIXES
        seen: Counter[str] = Counter()
        for count, file in enumerate(path.rglob("*.*")):
            seen[file.suffix.lower()] += 1
            if count >= _LOOKED_AT:
                break
        ours = sum(seen[suffix] for suffix in SUFFIXES)
        return ours > sum(seen[suffix] for suffix in _PICTURES)

    @classmethod
    def open(
        cls,
        path: Path,
        options: SarRasterConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> SarRaster:
        """Reads the header of each file and decides on its tiles."""
        return cls(path, options, labels, value_range)

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes two small complex scenes, of which one is cut into two tiles."""
        rng = np.random.default_rng(0)
        for name, height in (("a", 300), ("b", 60)):
            parts = rng.standard_normal((2, height, 64), np.float32)
            np.save(folder / f"{name}.npy", parts[0] + 1j * parts[1])
        return folder

    def _source(self, file: int) -> Source:
        return self._sources[file_path(self._root, self._files.key(file))]

    def _look(self) -> tuple[dict[int, tuple[int, int]], Source, dict[int, str]]:
        """Returns the sizes of the files that fit together, one of them, and the others' faults."""
        sizes, kinds = dict[int, tuple[int, int]](), dict[int, str]()
        broken = dict[int, str]()
        for file in range(len(self._files)):
            try:
                source = self._source(file)
            except DataError as error:
                broken[file] = str(error)
                continue
            sizes[file], kinds[file] = (source.height, source.width), source.kind
        if not sizes:
            raise DataError(
                f"None of the {len(broken)} files in '{self._root}' can be used; "
                f"'{self._files.key(0)}' {broken[0]}."
            )
        count = Counter(kinds.values())
        (kind, most), *others = count.most_common()
        if others and 2 * most <= len(kinds):
            seen = ", ".join(f"{n} {name}" for name, n in count.most_common(4))
            raise DataError(
                f"The files in '{self._root}' are of {len(count)} kinds ({seen}), and one encoder "
                "sees one kind. Give --data one file, or a folder for each kind."
            )
        for file in [file for file, other in kinds.items() if other != kind]:
            broken[file] = f"is {kinds[file]} where most files are {kind}"
            del sizes[file]
        return sizes, self._source(next(iter(sizes))), broken

    @property
    def _per_pixel(self) -> Ints:
        """Rows and columns of the file that make one pixel of an image."""
        azimuth, across = self.options.looks
        along_rows = self.options.range_axis == "columns"
        return np.array([azimuth, across] if along_rows else [across, azimuth])

    def _cut(self, sizes: dict[int, tuple[int, int]]) -> None:
        """Sets the index: the tiles of the good files, and one entry for each broken one."""
        files, corners, windows, keys = [], [], [], []
        for file in range(len(self._files)):
            name = self._files.key(file)
            window = self._window(sizes.get(file, (0, 0)))
            corner = self._corners(file, sizes[file], window) if file in sizes else _ORIGIN
            whole = tuple(window) == sizes.get(file, (0, 0)) or file in self._broken
            keys += [name if whole else f"{name}#{row},{col}" for row, col in corner.tolist()]
            files.append(np.full(len(corner), file))
            corners.append(corner)
            windows.append(np.tile(window, (len(corner), 1)))
        if not keys:
            raise DataError(
                f"All tiles of '{self._root}' have too little data. Raise data.options.max_nodata."
            )
        self._file = np.concatenate(files).astype(np.int32)
        self._corner = np.concatenate(corners).astype(np.int32)
        self._size = np.concatenate(windows).astype(np.int32)
        of_files = self._files
        self.index = Index(
            keys=np.array([key.encode(errors="surrogateescape") for key in keys], dtype=np.bytes_),
            labels=of_files.labels[self._file],
            classes=of_files.classes,
            groups=of_files.groups[self._file],
            group_names=of_files.group_names,
            splits=of_files.splits[self._file],
            positions=(self._corner + self._size / 2).astype(np.float32),
        )

    def _window(self, size: tuple[int, int]) -> Ints:
        """Returns height and width of the tiles of a file of this size, in pixels of the file."""
        return np.minimum(self.options.tile * self._per_pixel, size)

    def _corners(self, file: int, size: tuple[int, int], window: Ints) -> Ints:
        """Returns (n, 2) first row and column of the tiles that hold enough data."""
        stride = (self.options.stride or self.options.tile) * self._per_pixel
        rows, cols = (_starts(*line) for line in zip(size, window, stride, strict=True))
        if len(rows) * len(cols) == 1:
            return _ORIGIN
        kept = []
        for row in rows.tolist():
            try:
                there = self._data_share(file, row, window, cols)
            except DataError as error:
                self._broken[file] = str(error)
                return _ORIGIN
            kept += [(row, col) for col in cols[there >= 1 - self.options.max_nodata].tolist()]
        return np.array(kept, dtype=np.int64).reshape(-1, 2)

    def _data_share(self, file: int, row: int, window: Ints, cols: Ints) -> NDArray[np.float64]:
        """Returns the share of pixels with data in each tile of a row, judged by a few lines."""
        source = self._source(file)
        height, width = window.tolist()
        places = [row + (2 * k + 1) * height // (2 * _LINES) for k in range(_LINES)]
        lines = [source.read(place, 0, 1, source.width)[0] for place in places]
        there = np.mean([(np.isfinite(line) & (line != 0)).any(1) for line in lines], axis=0)
        sums = np.concatenate([[0.0], there.cumsum()])
        share: NDArray[np.float64] = (sums[cols + width] - sums[cols]) / width
        return share

    def signal(self, i: int) -> NDArray[Any]:
        """Returns tile i, (H, W, P), range along the rows: complex, or the intensity."""
        file = int(self._file[i])
        if file in self._broken:
            raise DataError(self._broken[file])
        (row, col), (height, width) = self._corner[i].tolist(), self._size[i].tolist()
        signal = self._source(file).read(row, col, height, width)
        if self.options.range_axis == "columns":
            signal = np.ascontiguousarray(signal.swapaxes(0, 1))
        if np.iscomplexobj(signal) or self.options.stored == "intensity":
            return signal
        return signal**2 if self.options.stored == "amplitude" else 10 ** (signal / 10)


_ORIGIN = np.zeros((1, 2), np.int64)


def _starts(length: int, tile: int, stride: int) -> Ints:
    """Returns where tiles begin; the last is moved back to end with the scene."""
    last = max(0, length - tile)
    return np.append(np.arange(0, last, stride), last)
