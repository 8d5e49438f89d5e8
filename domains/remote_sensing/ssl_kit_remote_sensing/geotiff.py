"""GeoTIFF and JPEG 2000 of any bands; large scenes are cut into tiles, read one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window

from ssl_kit import DataError, Image
from ssl_kit.data import FileDataset, agree, plural

from .bands import INDICES
from .cutting import Cutter, grouped, index_of
from .fills import find_fills
from .headers import Header
from .options import GeoTiffConfig
from .rasters import Rasters
from .recipe import Recipe
from .stacks import Assembler, Fault, Scene, alike, labeled_by_scene

_SAMPLED = 64  # height and width in pixels of the samples that the value range is measured on


class GeoTiff(FileDataset):
    """GeoTIFF, plain TIFF and JPEG 2000: integers up to 32 bit, float32 and float64, any bands.

    A scene is a file with all bands, or a file for each band. Pixels without data become the low
    end of the value range: those that the file declares, NaN and infinity, and, in uint16 and
    uint32 files that declare nothing, 0 in all bands. An alpha band is a mask. Labels, groups and
    splits are declared per file, as for an image folder, and hold for all its tiles; a file is a
    group if none is declared. The scenes must agree in number of bands and in type: those that
    differ from the most frequent kind are unreadable, which is counted.
    """

    Config = GeoTiffConfig
    options: GeoTiffConfig
    suffixes = (".tif", ".tiff", ".jp2")
    rivals = (".jpg", ".jpeg", ".png")
    kind = "TIFF files"
    naming = "channels"

    def prepare(self) -> None:
        """Reads the header of each file and decides on its tiles."""
        super().prepare()
        options = self.options
        colors = options.palette == "colors"
        naip = options.sensor == "naip"
        self._rasters = Rasters(options.nodata, options.resolution, naip, colors)
        headers = self.inspect(lambda file: self._rasters.header(self.path_of(file)))
        faults = [Fault(self.files.key(file), file, why) for file, why in self.faults.items()]
        scenes = Assembler(headers, self.path_of, self.files.key, options).scenes()
        scenes, odd = alike(scenes, self.path)
        model = next((scene for scene in scenes if all(scene.names)), scenes[0])
        self._recipe = Recipe(model, self.path_of(model.files[0]).as_posix(), options)
        self.channels = self._recipe.channels
        self._uint8 = scenes[0].dtype == "uint8"
        if not self.declares_labels and labeled_by_scene(scenes):
            self.files = replace(self.files, labels=self.files.labels * 0 - 1, classes=())
        undeclared = find_fills(self._rasters, scenes, self.path_of, options)
        self._rasters = replace(self._rasters, fills=tuple(undeclared.values), zero=undeclared.zero)
        self._cut(scenes, [*faults, *odd])
        remarks = [*self.index.remarks, *undeclared.remarks, *_remarks(headers.values())]
        self.index = replace(self.index, remarks=tuple(remarks))
        self._keep(scenes)

    def options_for(self, channels: Sequence[str]) -> Mapping[str, Any]:
        """Returns `bands` and `indices` if there are these, `channels` if bands have no names."""
        bands = [name for name in channels if name not in INDICES]
        indices = [name for name in channels if name in INDICES]
        if set(channels) <= set(self.channels):
            fits = [*bands, *indices] == list(channels)
            return ({"bands": bands} | ({"indices": indices} if indices else {})) if fits else {}
        numbered = all(re.fullmatch(r"band\d+", name) for name in self.channels)
        named = {"channels": channels} if numbered and not indices else {}
        return named if len(channels) == len(self.channels) else {}

    @classmethod
    def example(cls, folder: Path) -> None:
        """Writes two small scenes: files that the conformance rules can look at."""
        rng = np.random.default_rng(0)
        for number in range(2):
            pixels = rng.integers(1, 4000, (4, 300, 280), dtype=np.uint16)
            with rasterio.open(
                folder / f"{number}.tif",
                "w",
                driver="GTiff",
                height=300,
                width=280,
                count=4,
                dtype="uint16",
                crs="EPSG:32632",
                compress="deflate",
                transform=Affine(10, 0, 5e5 + 4000 * number, 0, -10, 5e6),
            ) as raster:
                raster.write(pixels)
                raster.descriptions = ("blue", "green", "red", "nir")

    def _cut(self, scenes: list[Scene], faults: list[Fault]) -> None:
        """Sets the index: the tiles of the good scenes, and one entry for each fault."""
        options, cutter = self.options, Cutter(self._rasters, self.path_of, self.options)
        tiles = cutter.cut(scenes)
        declared = [self.files.group(scene.first) for scene in scenes]
        groups, kept = grouped(scenes, tiles, declared, options)
        faults = [*faults, *cutter.faults]
        if not kept.any() and not faults:
            raise DataError(_NO_TILES.format(self.path))
        groups = [group for group, keep in zip(groups, kept.tolist(), strict=True) if keep]
        self._tiles = tiles[kept]
        self.index, self._tile = index_of(scenes, self._tiles, groups, faults, self.files, options)
        reasons = {fault.key: fault.reason for fault in faults}
        unreadable = np.flatnonzero(self._tile < 0).tolist()
        self._unreadable = {i: reasons[self.index.key(i)] for i in unreadable}
        if cutter.empty:
            remark = _EMPTY.format(
                plural(cutter.empty, "tile"),
                agree(cutter.empty, "is", "are"),
                plural(cutter.empty_files, "scene"),
                options.max_nodata,
            )
            self.index = replace(self.index, remarks=(*self.index.remarks, remark))

    def _keep(self, scenes: list[Scene]) -> None:
        """Keeps of the scenes what reading needs, in arrays that processes share."""
        chosen = list(self._recipe.positions)
        stacked = len(scenes[0].files) > 1
        files = [[s.files[i] for i in chosen] if stacked else s.files for s in scenes]
        self._sources = np.array(files, np.int32)
        self._bands = np.array([[scene.bands[i] for i in chosen] for scene in scenes], np.int16)
        self._grid = np.array([scene.grid for scene in scenes], np.int32)
        gains = [[scene.calibration[i] or (1.0, 0.0) for i in chosen] for scene in scenes]
        self._gains, which = np.unique(
            np.array(gains, np.float32).transpose(0, 2, 1), axis=0, return_inverse=True
        )
        self._gain = which.reshape(-1).astype(np.int32)
        unscaled = (self._gains == [[1], [0]]).all()  # all scenes, so that tiles are of one type
        self._raw = bool(self._uint8 and self._recipe.plain and unscaled)

    def read(self, i: int) -> Image:
        """Returns tile i, (H, W, C), uint8 with 0 or float32 with NaN where there is no data."""
        if i in self._unreadable:
            raise DataError(self._unreadable[i])
        height, width = self._tiles.size[self._tile[i]].tolist()
        return self._window(i, (height, width))

    def _window(self, i: int, shape: tuple[int, int]) -> Image:
        """Reads a tile, subsampled to (h, w)."""
        tile = int(self._tile[i])
        scene = int(self._tiles.scene[tile])
        (row, col), (height, width) = (
            self._tiles.corner[tile].tolist(),
            self._tiles.size[tile].tolist(),
        )
        parts = [
            self._rasters.read(path, bands, Window(col, row, width, height), shape, like)
            for path, bands, like in self._layers(scene)
        ]
        data = np.concatenate([part[0] for part in parts]).transpose(1, 2, 0)
        missing = np.concatenate([part[1] for part in parts]).transpose(1, 2, 0)
        if self._raw:
            return np.ascontiguousarray(np.where(missing, np.uint8(0), data))
        pixels = np.where(missing, 0, data).astype(np.float32)
        pixels[missing] = np.nan
        return self._recipe(np.ascontiguousarray(pixels), self._gains[self._gain[scene]])

    def _layers(self, scene: int) -> Iterator[tuple[Path, tuple[int, ...], Path | None]]:
        """Yields the files of a scene, the bands to read from each, and whose grid to use."""
        files, bands = self._sources[scene].tolist(), self._bands[scene].tolist()
        grid = self.path_of(int(self._grid[scene]))
        if len(files) == 1:
            yield self.path_of(files[0]), tuple(bands), grid
        else:
            for file, band in zip(files, bands, strict=True):
                yield self.path_of(file), (band,), grid

    def measure_value_range(self, images: int = 64) -> NDArray[np.float64]:
        """Returns 0 and 255 for uint8, else the 1st and 99th percentile of each band's data.

        An index has -1 and 1.

        Args:
            images: How many tiles, evenly spaced in the dataset, are read, subsampled.
        """
        bands = self._bands.shape[1]
        if self._uint8:
            ends = [np.full((1, 1, bands), value, np.float32) for value in (0, 255)]
            channels = [self._recipe(end, gains)[0, 0] for gains in self._gains for end in ends]
            measured = np.stack([np.min(channels, axis=0), np.max(channels, axis=0)], axis=1)
            return self._recipe.value_range(measured.astype(np.float64))
        pixels = []
        readable = np.flatnonzero(self._tile >= 0)
        for i in readable[:: max(1, -(-len(readable) // images))].tolist():
            height, width = np.minimum(self._tiles.size[self._tile[i]], _SAMPLED).tolist()
            try:
                pixels.append(self._window(i, (height, width)).reshape(-1, len(self.channels)))
            except DataError:
                continue
        if not pixels:
            raise DataError("None of the tiles looked at can be read; see the files themselves.")
        measured = np.array([_range(band) for band in np.concatenate(pixels).T])
        return self._recipe.value_range(measured)


_NO_TILES = (
    "All tiles of '{}' have too little data, too many clouds or lie too near to another block. "
    "Raise data.options.max_nodata or max_cloud, or lower buffer."
)


_EMPTY = (
    "{} with too little data {} left out, and with that all tiles of {}; --set "
    "data.options.max_nodata, now {:g}, is the largest share of missing pixels."
)


def _remarks(headers: Iterable[Header]) -> list[str]:
    """Returns what was assumed about color tables, and what is left out of the files."""
    headers = list(headers)
    tables = sum(header.palette for header in headers)
    stacks = sum(header.pages > 1 and not header.hidden for header in headers)
    remarks = []
    if tables:
        remarks.append(
            f"{plural(tables, 'file')} {agree(tables, 'holds', 'hold')} numbers with a color "
            "table; the colors are read. --set "
            "data.options.palette=numbers reads the numbers as one band."
        )
    if stacks:
        remarks.append(
            f"{plural(stacks, 'TIFF file')} {agree(stacks, 'has', 'have')} several pages, of "
            "which only the first is used; --set "
            "data.reader=image_folder reads every page of gray and RGB images."
        )
    hidden = sum(header.hidden for header in headers)
    if hidden:
        remarks.append(
            f"{plural(hidden, 'TIFF file')} {agree(hidden, 'is a stack', 'are stacks')} of ImageJ, "
            "of which only the first image is read, because the others are no pages. Save each "
            "image as a file (ImageJ: File > Save As > Image Sequence)."
        )
    return remarks


def _range(values: NDArray[np.float32]) -> tuple[float, float]:
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = np.percentile(finite, [1, 99]) if len(finite) else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1)
