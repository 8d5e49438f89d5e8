"""Radar scenes and chips in GeoTIFF, NITF and .npy; large ones are cut into tiles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError, UsageError
from ssl_kit.data import (
    FileDataset,
    agree,
    evenly_spaced,
    grid,
    most_frequent_kind,
    parents_of,
    plural,
    tile_key,
    tile_starts,
    walk,
)

from .images import SarImages
from .joined import JoinedSource
from .options import SarRasterConfig as SarRasterConfig
from .samples import Sample, interpret, remarks_on
from .scenes import accepts_products, gather, polarization_of
from .sources import ARRAYS, RASTERS, Decoding, Source, open_source
from .stored import not_decibels, not_linear

_LINES = 3  # lines of each row of tiles that are read to find pixels without data
_LINES_OF_ONE = 16  # lines of a file that is one tile
_SAMPLE = 256  # files whose pixels tell the unit
_FAR = 20.0  # dB between data of one unit at most
Ints = NDArray[np.int64]


class SarRaster(SarImages, FileDataset):
    """Complex or detected radar products: GeoTIFF, NITF (SICD included), .npy and Sentinel-1 .SAFE.

    Pixels without data become the lowest value: those that a file declares, NaN, numbers that look
    like undeclared missing data, and 0 in all polarizations. Labels, groups and splits are declared
    per file, as for an image folder, and hold for all its tiles. The files must agree in their
    number of bands, in being complex or not, and in their unit: those that differ from the most
    frequent kind are unreadable, which is counted.
    """

    Config = SarRasterConfig
    options: SarRasterConfig
    suffixes = RASTERS + ARRAYS
    rivals = (".jpg", ".jpeg", ".png")
    naming = "polarizations"

    def prepare(self) -> None:
        """Reads the header of each file, finds out what its numbers are, decides on its tiles."""
        super().prepare()
        options = self.options
        scenes = gather(self.files, self.path, options.join, self.declares_labels)
        self.files, self._members = scenes.index, scenes.members
        self._remarks = list(scenes.remarks)
        uses_table = options.stored in ("auto", "amplitude")
        table = options.calibration_table if uses_table else "none"
        self._decoding = Decoding(
            () if options.nodata is None else (options.nodata,),
            options.scale,
            options.offset,
            "" if table == "none" else table,
            options.denoise,
            len(options.polarizations),
        )
        sizes = self._measure()
        first = self._source(next(iter(sizes)))
        names = options.polarizations or first.names
        if len(names) != len(first.names):
            raise UsageError(
                f"data.options.polarizations has {len(names)} names for {len(first.names)} bands."
            )
        self.name_channels(names, first.has_phase)
        self._check_denoising(first)
        self._interpret(sizes, first)
        self._cut(sizes)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether radar files prevail in the path, or it holds a Sentinel-1 product."""
        return super().accepts(path) or accepts_products(islice(walk(path), 1000))

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes two small complex scenes, of which one is cut into two tiles."""
        rng = np.random.default_rng(0)
        for name, height in (("a", 300), ("b", 60)):
            parts = rng.standard_normal((2, height, 64), np.float32)
            np.save(folder / f"{name}.npy", parts[0] + 1j * parts[1])
        return folder

    def _source(self, file: int) -> Source:
        members = self._members.get(file)
        if members is None:
            return open_source(self.path_of(file), self._decoding)
        decoding = replace(self._decoding, named=self._decoding.named // len(members))
        sources = [open_source(self.path / key, decoding) for key in members.values()]
        return JoinedSource(sources, list(members))

    def _measure(self) -> dict[int, tuple[int, int]]:
        """Returns height and width of the files of the most frequent kind."""

        def look(file: int) -> tuple[str, tuple[str, ...], tuple[int, int]]:
            source = self._source(file)
            names = source.names
            if names == ("sar",):
                names = (polarization_of(self.files.key(file))[1] or "sar",)
            return source.kind, names, (source.height, source.width)

        facts = self.inspect(look)
        kept = most_frequent_kind([kind for kind, _, _ in facts.values()], self.kind, self.path)
        for file, (kind, _, _) in facts.items():
            if kind != kept:
                self.faults[file] = f"is {kind} where most files are {kept}"
        names = Counter(names for kind, names, _ in facts.values() if kind == kept).most_common()
        if len(names) > 1 and not self.options.polarizations:
            listed = ", ".join(f"{n} {' '.join(bands)}" for bands, n in names[:4])
            self._remarks.append(
                f"The files have different bands ({listed}), which become the same channels."
            )
        return {file: size for file, (kind, _, size) in facts.items() if kind == kept}

    def _check_denoising(self, first: Source) -> None:
        if self.options.denoise and (first.has_phase or not first.calibrated):
            raise UsageError(
                "data.options.denoise needs detected products of Sentinel-1 (.SAFE) and a "
                "data.options.calibration_table."
            )

    def _interpret(self, sizes: dict[int, tuple[int, int]], first: Source) -> None:
        """Decides what the numbers are, and removes the files that are something else."""
        self._unit: str = "amplitude" if self.options.stored == "auto" else self.options.stored
        self._checked = not (first.has_phase or first.calibrated)
        key = self.files.key(next(iter(sizes)))
        self._remarks += remarks_on(first, self._decoding, key)
        if not self._checked:
            return
        samples = self._samples(sizes)
        if not samples:
            return
        meaning = interpret(samples, self.options.stored, self.options.nodata)
        self._unit = meaning.unit
        self._decoding = replace(self._decoding, nodata=meaning.nodata)
        self._remarks += meaning.remarks
        self.faults.update(meaning.faults)
        for file in meaning.faults:
            del sizes[file]
        self.refuse_if_all_fail(sizes)

    def _samples(self, sizes: Mapping[int, object]) -> dict[int, Sample]:
        """Returns pixels of up to 256 files, without those that cannot be read."""
        files, samples = list(sizes), {}
        for position in evenly_spaced(len(files), _SAMPLE).tolist():
            file = files[position]
            source = self._source(file)
            try:
                numbers = source.sample()
            except DataError:
                continue  # reading it gives the reason
            name = Path(self.files.key(file)).name
            samples[file] = Sample(numbers, source.scaled, source.dtype, source.hints, name)
        return samples

    @property
    def _per_pixel(self) -> Ints:
        """Rows and columns of the file that make one pixel of an image."""
        azimuth, across = self.options.looks
        along_rows = self.options.range_axis == "columns"
        return np.array([azimuth, across] if along_rows else [across, azimuth])

    def _cut(self, sizes: dict[int, tuple[int, int]]) -> None:
        """Sets the index: the tiles of the good files, and one entry for each faulty one."""
        corners, windows, keys, empty = [], [], [], 0
        for file in range(len(self.files)):
            name, size = self.files.key(file), sizes.get(file, (0, 0))
            window = self._window(size)
            corner, left_out = self._corners(file, size, window) if file in sizes else (_ORIGIN, 0)
            empty += left_out
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
        if empty:
            self._remarks.append(
                f"{plural(empty, 'tile')} with too little data {agree(empty, 'is', 'are')} left "
                "out "
                "(data.options.max_nodata)."
            )
        index = self.files.expand(self._file, keys, self._corner + self._size / 2)
        self.index = index
        self._compare_with_run()
        self.index = replace(index, remarks=(*index.remarks, *self._remarks))

    def options_for(self, channels: Sequence[str]) -> Mapping[str, Any]:
        """Returns `polarizations` if the bands have no names."""
        pairs = [*zip(channels, self.channels, strict=False)]
        endings = [name.partition("_")[2] for name in self.channels]
        nameless = all(re.match(r"(sar|band\d+)_", name) for name in self.channels)
        if not nameless or [name.partition("_")[2] for name in channels] != endings:
            return {}
        return {"polarizations": list(dict.fromkeys(name.partition("_")[0] for name, _ in pairs))}

    def _compare_with_run(self) -> None:
        """Notes if values that were found out now are far from those of the run that is used."""
        decided = self._checked and self.options.stored == "auto"
        if self._value_range is None or self.options.values != "db" or not decided:
            return
        if len(self._value_range) != len(self.channels):  # those of the run are others
            return
        apart = float((self.top_levels(8) - self._value_range[:, 1]).mean())
        if abs(apart) > _FAR:
            self._remarks.append(
                f"The values differ by {apart:.0f} dB from those of the run that gave the value "
                "range; they may have another unit (data.options.stored)."
            )

    def _window(self, size: tuple[int, int]) -> Ints:
        """Returns height and width of the tiles of a file of this size, in pixels of the file."""
        return np.minimum(self.options.tile * self._per_pixel, size)

    def _corners(self, file: int, size: tuple[int, int], window: Ints) -> tuple[Ints, int]:
        """Returns (n, 2) corners of the tiles with enough data, and how many tiles lack it."""
        stride = (self.options.stride or self.options.tile) * self._per_pixel
        rows, cols = (tile_starts(*side) for side in zip(size, window, stride, strict=True))
        single = len(rows) * len(cols) == 1
        if single and self.options.max_nodata == 1:
            return _ORIGIN, 0
        lines = min(_LINES_OF_ONE, size[0]) if single else _LINES
        try:
            shares = np.stack(
                [self._data_share(file, row, window, cols, lines) for row in rows.tolist()]
            )
        except DataError as error:
            self.faults[file] = str(error)
            return _ORIGIN, 0
        enough = (shares >= 1 - self.options.max_nodata).ravel()
        return grid(rows, cols)[enough], int((~enough).sum())

    def _data_share(
        self, file: int, row: int, window: Ints, cols: Ints, count: int
    ) -> NDArray[np.float64]:
        """Returns the share of pixels with data in each tile of a row, estimated on a few lines."""
        source = self._source(file)
        height, width = window.tolist()
        places = [row + (2 * k + 1) * height // (2 * count) for k in range(count)]
        lines = [source.read(place, 0, 1, source.width)[0] for place in places]
        zero_is_data = self._checked and self._unit == "db"
        has_data = np.mean(
            [(np.isfinite(line) & (zero_is_data | (line != 0))).any(1) for line in lines], axis=0
        )
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
        return signal if np.iscomplexobj(signal) else self._intensity(signal)

    def _intensity(self, values: NDArray[Any]) -> NDArray[Any]:
        """Returns the intensity of real values, NaN where there is no data.

        Raises:
            DataError: If the values contradict the unit of the files.
        """
        in_db = self._unit == "db"
        reason = not_decibels(values) if in_db else not_linear(values, self._unit)
        if reason:
            raise DataError(reason)
        if in_db:
            return 10 ** (values / 10)
        values = np.maximum(values, 0)
        return values if self._unit == "intensity" else values**2


_ORIGIN = np.zeros((1, 2), np.int64)
