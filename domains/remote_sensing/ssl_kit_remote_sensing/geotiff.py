"""GeoTIFF of any bands; large rasters are cut into tiles that are read one at a time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from rasterio.windows import Window

from ssl_kit import Config, DataError, Dataset, Image, Index, UsageError, file_path, index_files

from .rasters import Header, Rasters
from .tiles import Ints, corners, shares, tile_key

SUFFIXES = (".tif", ".tiff")
_PICTURES = (".jpg", ".jpeg", ".png")
_LOOKED_AT = 1000  # entries of a folder that decide whether it is one of TIFFs
_SAMPLED = 64  # pixels, height and width of what the value range is measured on


class GeoTiffConfig(Config):
    """Options of the GeoTIFF reader."""

    tile: Annotated[
        int, Field(ge=16, description="pixels, height and width of the tiles of a large raster")
    ] = 256
    stride: Annotated[
        int | None, Field(ge=1, description="pixels from tile to tile; a tile if left out")
    ] = None
    max_nodata: Annotated[
        float, Field(ge=0, le=1, description="tiles with a larger share of no data are left out")
    ] = 0.5
    nodata: Annotated[
        float | None, Field(description="value that means no data, besides what the files say")
    ] = None
    bands: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        Field(description="numbers of the bands to use, from 1; all if left out"),
    ] = ()
    band_names: Annotated[
        tuple[str, ...], Field(description="names of these bands; the file's if left out")
    ] = ()


class GeoTiff(Dataset):
    """GeoTIFF and plain TIFF: integers up to 32 bit, float32 and float64, any number of bands.

    Pixels without data become the low end of the value range: those that the file declares, NaN
    and infinity, and, in uint16 and uint32 files that declare nothing, 0 in all bands. An alpha
    band is a mask. Labels,
    groups and splits are declared per file, as for an image folder, and hold for all its tiles; a
    file is a group if none is declared. The files must agree in number of bands and in type: those
    that differ from the most frequent kind are unreadable, which is counted.
    """

    Config = GeoTiffConfig

    def __init__(
        self,
        path: Path,
        options: GeoTiffConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> None:
        super().__init__(value_range)
        self._root, self._options = path, options
        self._rasters = Rasters(options.nodata)
        self._files = index_files(path, SUFFIXES, labels)
        headers, self._broken = self._look()
        self._dtype = headers[next(iter(headers))].dtype
        self._bands, self.channels = _choose(next(iter(headers.values())), options)
        self._cut(headers)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a TIFF, or a folder with more TIFFs than JPEGs and PNGs."""
        if not path.is_dir():
            return path.suffix.lower() in SUFFIXES
        seen: Counter[str] = Counter()
        for count, suffix in enumerate(_suffixes(path)):
            seen[suffix] += 1
            if count >= _LOOKED_AT:
                break
        tiffs = sum(seen[suffix] for suffix in SUFFIXES)
        return tiffs > sum(seen[suffix] for suffix in _PICTURES)

    @classmethod
    def open(
        cls,
        path: Path,
        options: GeoTiffConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> GeoTiff:
        """Reads the header of each file and decides on its tiles."""
        return cls(path, options, labels, value_range)

    def _path(self, file: int) -> Path:
        return file_path(self._root, self._files.key(file))

    def _look(self) -> tuple[dict[int, Header], dict[int, str]]:
        """Returns the headers of the files that fit together, and what is wrong with the others."""
        headers: dict[int, Header] = {}
        broken: dict[int, str] = {}
        for file in range(len(self._files)):
            try:
                headers[file] = self._rasters.header(self._path(file))
            except (DataError, OSError) as error:
                broken[file] = str(error)
        if not headers:
            raise DataError(
                f"None of the {len(broken)} TIFF files in '{self._root}' can be used; "
                f"'{self._files.key(0)}' {broken[0]}."
            )
        kinds = Counter(header.kind for header in headers.values())
        kind, count = kinds.most_common(1)[0]
        if 2 * count <= len(headers) and len(kinds) > 1:
            seen = ", ".join(f"{n} {name}" for name, n in kinds.most_common(4))
            raise DataError(
                f"The TIFF files in '{self._root}' are of {len(kinds)} kinds ({seen}), and one "
                "encoder sees one kind. Give --data one file, or a folder for each kind."
            )
        for file in [file for file, header in headers.items() if header.kind != kind]:
            broken[file] = f"is {headers.pop(file).kind} where most files are {kind}"
        return headers, broken

    def _cut(self, headers: dict[int, Header]) -> None:
        """Sets the index: the tiles of the good files, and one entry for each broken one."""
        files, places, sizes, keys = [], [], [], []
        for file in range(len(self._files)):
            header = headers.get(file)
            corner = self._corners(file, header) if header else np.zeros((1, 2), np.int64)
            tile = self._options.tile
            size = (min(tile, header.height), min(tile, header.width)) if header else (0, 0)
            name = self._files.key(file)
            whole = header is None or size == (header.height, header.width)
            keys += [name] if whole else [tile_key(name, row, col) for row, col in corner.tolist()]
            files.append(np.full(len(corner), file))
            places.append(corner)
            sizes.append(np.tile(size, (len(corner), 1)))
        if not keys:
            raise DataError(
                f"All tiles of '{self._root}' have too little data. Raise data.options.max_nodata."
            )
        self._file = np.concatenate(files).astype(np.int32)
        self._corner = np.concatenate(places).astype(np.int32)
        self._size = np.concatenate(sizes).astype(np.int32)
        of_files = self._files
        self.index = Index(
            keys=np.array([key.encode() for key in keys], dtype=np.bytes_),
            labels=of_files.labels[self._file],
            classes=of_files.classes,
            groups=of_files.groups[self._file],
            group_names=of_files.group_names,
            splits=of_files.splits[self._file],
            positions=(self._corner + self._size / 2).astype(np.float32),
        )

    def _corners(self, file: int, header: Header) -> Ints:
        """Returns (n, 2) first row and column of the tiles of a file that hold enough data."""
        tile = self._options.tile
        found = corners(header.height, header.width, tile, self._options.stride or tile)
        if not header.masked or len(found) == 1:
            return found
        step = max(1, tile // 16)  # 16 x 16 looks at each tile
        try:
            mask = self._rasters.thin_mask(self._path(file), header, self._bands[0], step)
        except DataError as error:
            self._broken[file] = str(error)
            return found[:1]
        masked = shares(mask, (header.height, header.width), tile, found)
        return found[masked <= self._options.max_nodata]

    def read(self, i: int) -> Image:
        """Returns tile i, (H, W, C), uint8 with 0 or float32 with NaN where there is no data."""
        height, width = self._size[i].tolist()
        return self._window(i, (height, width))

    def _window(self, i: int, shape: tuple[int, int]) -> Image:
        file = int(self._file[i])
        if file in self._broken:
            raise DataError(self._broken[file])
        (row, col), (height, width) = self._corner[i].tolist(), self._size[i].tolist()
        window = Window(col, row, width, height)
        try:
            return self._rasters.read(self._path(file), self._bands, window, shape)
        except OSError as error:
            raise DataError(f"cannot be opened: {error.strerror}") from error

    def measure_value_range(self, images: int = 64) -> NDArray[np.float64]:
        """Returns 0 and 255 for uint8, else the 1st and 99th percentile of each band's data.

        Args:
            images: How many tiles, evenly spread over the dataset, are looked at, thinned out.
        """
        if self._dtype == "uint8":
            return np.tile([0.0, 255.0], (len(self.channels), 1))
        pixels = []
        for i in np.unique(np.linspace(0, len(self) - 1, images).astype(int)).tolist():
            height, width = np.minimum(self._size[i], _SAMPLED).tolist()
            try:
                pixels.append(self._window(i, (height, width)).reshape(-1, len(self.channels)))
            except DataError:
                continue
        if not pixels:
            raise DataError("None of the tiles looked at can be read; see the files themselves.")
        return np.array([_range(band) for band in np.concatenate(pixels).T])


def _range(values: NDArray[np.float32]) -> tuple[float, float]:
    there = values[np.isfinite(values)].astype(np.float64)
    low, high = np.percentile(there, [1, 99]) if len(there) else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1)


def _choose(header: Header, options: GeoTiffConfig) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Returns the numbers and names of the bands to use."""
    bands = options.bands or header.bands
    named = dict(zip(header.bands, header.names, strict=True))
    absent = [band for band in bands if band not in named]
    if absent or len(set(bands)) < len(bands):
        raise UsageError(
            f"data.options.bands is {list(bands)}, but the files have bands "
            f"1 to {len(header.bands)}, each to be used once."
        )
    names = options.band_names or tuple(named[band] for band in bands)
    if len(names) != len(bands):
        raise UsageError(
            f"data.options.band_names has {len(names)} names for {len(bands)} bands: {list(bands)}."
        )
    return bands, names


def _suffixes(folder: Path) -> Iterator[str]:
    """Yields the endings of the files below a folder, without listing it first."""
    stack = [folder]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    stack.append(Path(entry.path))
                else:
                    yield Path(entry.name).suffix.lower()
