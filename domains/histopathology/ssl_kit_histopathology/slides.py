"""Whole slides, their tissue cut into tiles that are read one at a time."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import openslide
from numpy.typing import NDArray
from pydantic import Field

from ssl_kit import Config, DataError, Image, UsageError
from ssl_kit.data import FileDataset, evenly_spaced, file_path, parents_of, tile_key, walk

from .slide_files import opened, read_header, read_tile
from .stains import macenko, reinhard
from .tiff import write_slide
from .tiles import Ints, Tiling, read_marks, shares
from .tissue import overview, tissue_mask

_log = logging.getLogger("ssl_kit")

SCANNERS = (".svs", ".svslide", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".czi")
_PERHAPS = (".tif", ".tiff", ".dcm")  # OpenSlide must look into them
_LOOKED_AT, _LOOKED_INTO = 10_000, 16  # files that are listed, and opened, to accept a folder
_SAMPLED, _PIXELS = 16, 600  # tiles of a slide, and pixels of each, that its stain is fitted on
_NORMALIZERS = {"macenko": macenko, "reinhard": reinhard}


class SlidesConfig(Config):
    """Options of the reader of whole slides."""

    mpp: Annotated[float, Field(gt=0, description="microns per pixel of the tiles")] = 0.5
    assume_mpp: Annotated[
        float | None, Field(gt=0, description="microns per pixel of slides whose header lacks it")
    ] = None
    tile: Annotated[int, Field(ge=16, description="height and width of a tile in pixels")] = 224
    stride: Annotated[
        int | None,
        Field(ge=1, description="pixels from tile to tile (default: its size)"),
    ] = None
    min_tissue: Annotated[
        float, Field(ge=0, le=1, description="smallest share of tissue in a tile")
    ] = 0.5
    stain: Annotated[
        Literal["as_scanned", "macenko", "reinhard"],
        Field(description="normalization of the stains of each slide"),
    ] = "as_scanned"


@dataclass(frozen=True)
class _Plan:
    """Tiles of a slide: places (n, 2) are row and column; `fault` is the reason if it has none."""

    places: Ints
    tiling: Tiling | None = None
    identity: str = ""
    fault: str = ""


class Slides(FileDataset):
    """Whole slides that OpenSlide opens: svs, ndpi, mrxs, scn, bif, tiled TIFF, DICOM and others.

    All tiles have one size in microns, whatever the slide's own resolution. Labels, groups and
    splits are declared per slide, as for an image folder; rows of the CSV with an `x` and a `y`
    label one tile. A slide is a group if none is declared. Slides that cannot be used count as
    one unreadable image each.
    """

    Config = SlidesConfig
    options: SlidesConfig
    suffixes = (*SCANNERS, *_PERHAPS)
    channels = ("red", "green", "blue")

    def prepare(self) -> None:
        """Finds the tissue on a small picture of each slide and decides on the tiles."""
        super().prepare()
        self._samples: dict[int, Image] = {}
        with ThreadPoolExecutor() as pool:  # OpenSlide releases Python's lock
            plans = list(pool.map(self._plan, range(len(self.files))))
        plans = _one_of_each(plans)
        self._report(plans)
        self._tilings = [plan.tiling for plan in plans]
        self.faults = {file: plan.fault for file, plan in enumerate(plans) if plan.fault}
        self._cut([plan.places for plan in plans])
        self._label()

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a slide, or a folder with one among its first 10,000 files."""
        into = 0
        for key in islice(walk(path), _LOOKED_AT):
            file = file_path(path, key)
            suffix = file.suffix.lower()
            if suffix in SCANNERS:
                return True
            if suffix in _PERHAPS and into < _LOOKED_INTO:
                into += 1
                if openslide.OpenSlide.detect_format(file) is not None:
                    return True
        return False

    @classmethod
    def example(cls, folder: Path) -> None:
        """Writes a small slide of one tile's width, for checks."""
        rng = np.random.default_rng(0)
        coarse = rng.integers(60, 200, (9, 5, 3), np.uint8) + np.array([50, 0, 40], np.uint8)
        write_slide(folder / "slide.tif", [cv2.resize(coarse, (256, 480))], 0.5)

    def _plan(self, file: int) -> _Plan:
        options = self.options
        stride = options.stride or options.tile
        try:
            with opened(self.path_of(file)) as slide:
                header = read_header(slide, options.assume_mpp)
                tiling = Tiling.choose(
                    header.mpp, header.downsamples, options.mpp, options.tile, stride
                )
                size = (header.height, header.width)
                kept = np.ones(tiling.shape(*size), bool)
                if options.min_tissue and kept.size:
                    mask = tissue_mask(overview(slide, header, tiling))
                    kept = shares(mask, size, tiling) >= options.min_tissue
                return _Plan(np.argwhere(kept), tiling, header.identity)
        except DataError as error:
            return _Plan(np.zeros((1, 2), np.int64), fault=str(error))

    def _report(self, plans: list[_Plan]) -> None:
        """Logs which slides have no tiles; refuses if most slides cannot be used."""
        broken = [file for file, plan in enumerate(plans) if plan.fault]
        names = [f"'{self.files.key(file)}' {plans[file].fault}" for file in broken]
        slides = sum(bool(plan.fault or plan.tiling) for plan in plans)
        empty = sum(not len(plan.places) for plan in plans if plan.tiling)
        if broken and 2 * len(broken) > slides:
            raise DataError(
                f"{len(broken)} of {slides} slides in '{self.path}' cannot be used; {names[0]}."
            )
        if empty + len(broken) == slides:
            raise DataError(
                f"No tile of the slides in '{self.path}' holds enough tissue, or they are smaller "
                "than one. Lower data.options.min_tissue or data.options.tile."
            )
        if broken:
            _log.warning("%d of %d slides cannot be used: %s.", len(broken), slides, names[0])
        if empty:
            _log.info("%d of %d slides have no tile with enough tissue.", empty, slides)

    def _cut(self, places: list[Ints]) -> None:
        """Sets the index: the tiles of the good slides, and one entry for each faulty one."""
        keys: list[str] = []
        for file, of_slide in enumerate(places):
            name = self.files.key(file)
            tiles = [tile_key(name, row, col) for row, col in of_slide.tolist()]
            keys += [name] if file in self.faults else tiles
        self._file = parents_of(places).astype(np.int32)
        self._place = np.concatenate(places).astype(np.int32)
        self.index = self.files.expand(self._file, keys, self._place)

    def _label(self) -> None:
        """Labels the tiles for which the CSV has a label.

        Raises:
            UsageError: If no mark is on a tile.
        """
        table = self.labels_table or self.path / "labels.csv"
        if not table.is_file():
            return
        marks, whole = read_marks(table)
        if not marks:
            return
        files = {self.files.key(file): file for file in range(len(self.files))}
        name_of = {file: whole.get(key, "") for key, file in files.items()}
        label = [name_of[file] for file in self._file.tolist()]
        tiles = zip(self._file.tolist(), self._place.tolist(), strict=True)
        number = {(file, *place): i for i, (file, place) in enumerate(tiles)}
        hits = 0
        for mark in marks:
            tiling = self._tilings[files[mark.slide]]
            at = None if tiling is None else number.get((files[mark.slide], *tiling.place(mark)))
            if at is not None:
                label[at], hits = mark.label, hits + 1
        if not hits:
            raise UsageError(
                f"None of the {len(marks)} places in '{table}' is on a tile; x and y are pixels of "
                "the slide's finest level."
            )
        self.index = self.index.expand(np.arange(len(label)), labels=label)

    def measure_value_range(self, images: int = 64) -> NDArray[np.float64]:
        """Returns 0 and 255, without reading a tile."""
        return np.tile([0.0, 255.0], (3, 1))

    def read(self, i: int) -> Image:
        """Returns tile i, (tile, tile, 3), uint8 RGB."""
        file = int(self._file[i])
        self.refuse_faulty(file)
        tiling = self._tilings[file]
        assert tiling is not None  # noqa: S101  only faulty slides have none
        image = self._tile(i, tiling)
        normalize = _NORMALIZERS.get(self.options.stain)
        return image if normalize is None else normalize(image, self._sample_of(file, tiling))

    def _tile(self, i: int, tiling: Tiling) -> Image:
        path, corner = self.path_of(int(self._file[i])), tiling.corner(*self._place[i].tolist())
        side, tile = tiling.side, self.options.tile
        image = read_tile(path, tiling.level, corner, (side, side))
        if side != tile:
            how = cv2.INTER_AREA if side > tile else cv2.INTER_CUBIC
            image = cv2.resize(image, (tile, tile), interpolation=how)
        return image

    def _sample_of(self, file: int, tiling: Tiling) -> Image:
        """Returns pixels of 16 tiles of a slide, (n, 1, 3): one tile may lack one of the stains."""
        if file not in self._samples:
            tiles = np.flatnonzero(self._file == file)
            pixels = []
            for i in tiles[evenly_spaced(len(tiles), _SAMPLED)].tolist():
                with suppress(DataError):
                    flat = self._tile(i, tiling).reshape(-1, 1, 3)
                    pixels.append(flat[:: max(1, len(flat) // _PIXELS)])
            self._samples[file] = np.concatenate(pixels)
        return self._samples[file]


def _one_of_each(plans: list[_Plan]) -> list[_Plan]:
    """Keeps one of the files of each DICOM slide, because OpenSlide finds the others."""
    identities: set[str] = set()
    kept = []
    for plan in plans:
        again = plan.identity and plan.identity in identities
        kept.append(_Plan(np.zeros((0, 2), np.int64)) if again else plan)
        identities.add(plan.identity)
    return kept
