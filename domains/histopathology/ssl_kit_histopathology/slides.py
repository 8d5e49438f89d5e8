"""Whole slides, their tissue cut into tiles that are read one at a time."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import openslide
from numpy.typing import ArrayLike
from pydantic import Field

from ssl_kit import Config, DataError, Dataset, Image, Index, UsageError
from ssl_kit.data import file_path, index_files

from .slide_files import SlideFiles, opened, read_header
from .stains import macenko, reinhard
from .tiff import write_slide
from .tiles import Ints, Tiling, read_marks, shares, tile_key
from .tissue import overview, tissue_mask

_log = logging.getLogger("ssl_kit")

SCANNERS = (".svs", ".svslide", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".czi")
_PERHAPS = (".tif", ".tiff", ".dcm")  # OpenSlide must look into them
_LOOKED_AT, _LOOKED_INTO = 10_000, 16  # files of a folder that decide whether it has slides
_SEEN, _SEEN_OF_EACH = 16, 600  # tiles of a slide, and pixels of each, that its stain is known by
_NORMALIZERS = {"macenko": macenko, "reinhard": reinhard}


class SlidesConfig(Config):
    """Options of the reader of whole slides."""

    mpp: Annotated[float, Field(gt=0, description="microns per pixel of the tiles")] = 0.5
    assume_mpp: Annotated[
        float | None, Field(gt=0, description="microns per pixel of slides that do not say theirs")
    ] = None
    tile: Annotated[int, Field(ge=16, description="pixels, height and width of a tile")] = 224
    stride: Annotated[
        int | None, Field(ge=1, description="pixels from tile to tile; a tile if left out")
    ] = None
    min_tissue: Annotated[
        float, Field(ge=0, le=1, description="tiles with a smaller share of tissue are left out")
    ] = 0.5
    stain: Annotated[
        Literal["as_scanned", "macenko", "reinhard"],
        Field(description="what brings the stains of each slide to a reference"),
    ] = "as_scanned"


@dataclass(frozen=True)
class _Plan:
    """What is read of a slide: places (n, 2) are row and column; `broken` says why nothing is."""

    places: Ints
    tiling: Tiling | None = None
    identity: str = ""
    broken: str = ""


class Slides(Dataset):
    """Whole slides that OpenSlide opens: svs, ndpi, mrxs, scn, bif, tiled TIFF, DICOM and others.

    All tiles have one size in microns, whatever the slide's own resolution. Labels, groups and
    splits are declared per slide, as for an image folder; rows of the CSV with an `x` and a `y`
    label one tile. A slide is a group if none is declared. Slides that cannot be used count as
    one unreadable image each.
    """

    Config = SlidesConfig
    channels = ("red", "green", "blue")

    def __init__(
        self,
        path: Path,
        options: SlidesConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> None:
        super().__init__([[0, 255]] * 3 if value_range is None else value_range)
        self._root, self._options = path, options
        self._slides = SlideFiles()
        self._seen: dict[int, Image] = {}
        self._files = index_files(path, (*SCANNERS, *_PERHAPS), labels)
        with ThreadPoolExecutor() as pool:  # OpenSlide works outside of Python's lock
            plans = list(pool.map(self._plan, range(len(self._files))))
        plans = _one_of_each(plans)
        self._report(plans)
        self._tilings = [plan.tiling for plan in plans]
        self._broken = {file: plan.broken for file, plan in enumerate(plans) if plan.broken}
        self._cut([plan.places for plan in plans])
        self._label(labels)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a slide, or a folder with one among its first 10,000 files."""
        into = 0
        for file in islice(path.rglob("*") if path.is_dir() else iter([path]), _LOOKED_AT):
            suffix = file.suffix.lower()
            if suffix in SCANNERS:
                return True
            if suffix in _PERHAPS and into < _LOOKED_INTO:
                into += 1
                if openslide.OpenSlide.detect_format(file) is not None:
                    return True
        return False

    @classmethod
    def open(
        cls,
        path: Path,
        options: SlidesConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> Slides:
        """Finds the tissue on a small picture of each slide and decides on the tiles."""
        return cls(path, options, labels, value_range)

    @classmethod
    def example(cls, folder: Path) -> None:
        """Writes a small slide of one tile's width, for checks."""
        rng = np.random.default_rng(0)
        coarse = rng.integers(60, 200, (9, 5, 3), np.uint8) + np.array([50, 0, 40], np.uint8)
        write_slide(folder / "slide.tif", [cv2.resize(coarse, (256, 480))], 0.5)

    def _path(self, file: int) -> Path:
        return file_path(self._root, self._files.key(file))

    def _plan(self, file: int) -> _Plan:
        options = self._options
        stride = options.stride or options.tile
        try:
            with opened(self._path(file)) as slide:
                header = read_header(slide, options.assume_mpp)
                tiling = Tiling.choose(
                    header.mpp, header.downsamples, options.mpp, options.tile, stride
                )
                size = (header.height, header.width)
                there = np.ones(tiling.shape(*size), bool)
                if options.min_tissue and there.size:
                    mask = tissue_mask(overview(slide, header, tiling))
                    there = shares(mask, size, tiling) >= options.min_tissue
                return _Plan(np.argwhere(there), tiling, header.identity)
        except DataError as error:
            return _Plan(np.zeros((1, 2), np.int64), broken=str(error))

    def _report(self, plans: list[_Plan]) -> None:
        """Says which slides give nothing; refuses if those that cannot be used are the most."""
        broken = [file for file, plan in enumerate(plans) if plan.broken]
        names = [f"'{self._files.key(file)}' {plans[file].broken}" for file in broken]
        slides = sum(bool(plan.broken or plan.tiling) for plan in plans)
        empty = sum(not len(plan.places) for plan in plans if plan.tiling)
        if broken and 2 * len(broken) > slides:
            raise DataError(
                f"{len(broken)} of {slides} slides in '{self._root}' cannot be used; {names[0]}."
            )
        if empty + len(broken) == slides:
            raise DataError(
                f"No tile of the slides in '{self._root}' holds enough tissue, or they are smaller "
                "than one. Lower data.options.min_tissue or data.options.tile."
            )
        if broken:
            _log.warning("%d of %d slides cannot be used: %s.", len(broken), slides, names[0])
        if empty:
            _log.info("%d of %d slides have no tile with enough tissue.", empty, slides)

    def _cut(self, places: list[Ints]) -> None:
        """Sets the index: the tiles of the good slides, and one entry for each broken one."""
        keys: list[bytes] = []
        for file, of_slide in enumerate(places):
            name = self._files.key(file)
            tiles = [tile_key(name, row, col) for row, col in of_slide.tolist()]
            named = [name] if file in self._broken else tiles
            keys += [key.encode(errors="surrogateescape") for key in named]
        counts = [len(of_slide) for of_slide in places]
        self._file = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
        self._place = np.concatenate(places).astype(np.int32)
        of_files = self._files
        self.index = Index(
            keys=np.array(keys, dtype=np.bytes_),
            labels=of_files.labels[self._file],
            classes=of_files.classes,
            groups=of_files.groups[self._file],
            group_names=of_files.group_names,
            splits=of_files.splits[self._file],
            positions=self._place.astype(np.float32),
        )

    def _label(self, labels: Path | None) -> None:
        """Gives the tiles that a CSV marks their own labels.

        Raises:
            UsageError: If all marks are off the tiles.
        """
        table = labels or self._root / "labels.csv"
        if not table.is_file():
            return
        marks, whole = read_marks(table)
        if not marks:
            return
        files = {self._files.key(file): file for file in range(len(self._files))}
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
        found = Index.build([""] * len(label), labels=label)
        self.index = replace(self.index, labels=found.labels, classes=found.classes)

    def read(self, i: int) -> Image:
        """Returns tile i, (tile, tile, 3), uint8 RGB."""
        file = int(self._file[i])
        tiling = self._tilings[file]
        if tiling is None:
            raise DataError(self._broken[file])
        image = self._tile(i, tiling)
        normalize = _NORMALIZERS.get(self._options.stain)
        return image if normalize is None else normalize(image, self._seen_of(file, tiling))

    def _tile(self, i: int, tiling: Tiling) -> Image:
        path, corner = self._path(int(self._file[i])), tiling.corner(*self._place[i].tolist())
        side, tile = tiling.side, self._options.tile
        image = self._slides.read(path, tiling.level, corner, (side, side))
        if side != tile:
            how = cv2.INTER_AREA if side > tile else cv2.INTER_CUBIC
            image = cv2.resize(image, (tile, tile), interpolation=how)
        return image

    def _seen_of(self, file: int, tiling: Tiling) -> Image:
        """Returns pixels of sixteen tiles of a slide, (n, 1, 3): a tile may show one stain only."""
        if file not in self._seen:
            tiles = np.flatnonzero(self._file == file)
            pixels = []
            for i in np.unique(tiles[np.linspace(0, len(tiles) - 1, _SEEN).astype(int)]).tolist():
                with suppress(DataError):
                    flat = self._tile(i, tiling).reshape(-1, 1, 3)
                    pixels.append(flat[:: max(1, len(flat) // _SEEN_OF_EACH)])
            self._seen[file] = np.concatenate(pixels)
        return self._seen[file]


def _one_of_each(plans: list[_Plan]) -> list[_Plan]:
    """Leaves one of the files of a DICOM slide: OpenSlide finds the others by itself."""
    seen: set[str] = set()
    kept = []
    for plan in plans:
        again = plan.identity and plan.identity in seen
        kept.append(_Plan(np.zeros((0, 2), np.int64)) if again else plan)
        seen.add(plan.identity)
    return kept
