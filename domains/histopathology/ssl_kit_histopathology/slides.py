"""Whole slides, their tissue cut into tiles that are read one at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError, Image, UsageError
from ssl_kit.data import (
    FileDataset,
    Part,
    agree,
    evenly_spaced,
    parents_of,
    plural,
    read_table,
    table_in,
    tile_key,
    walk,
)

from .finding import PERHAPS, SCANNERS, holds_slides, other_endings
from .names import group_by_names
from .options import SlidesConfig
from .plans import Plan, draw, make_plan
from .slide_files import read_tile
from .stains import macenko, reinhard
from .tiff import write_slide
from .tiles import Ints, Tiling

_log = logging.getLogger("ssl_kit")

_SAMPLED, _PIXELS = 16, 600  # tiles of a slide, and pixels of each, that its stain is fitted on
_NORMALIZERS = {"macenko": macenko, "reinhard": reinhard}


class Slides(FileDataset):
    """Whole slides that OpenSlide opens: svs, ndpi, mrxs, qptiff, tiled TIFF, DICOM and others.

    All tiles have one size in microns, whatever the slide's own resolution. Labels, groups and
    splits are declared per slide, as for an image folder; rows of the table with an `x` and a `y`
    label one tile. Without declared groups, patients in the names of the slides are groups, or
    else each slide is. Slides that cannot be used count as one unreadable image each.
    """

    Config = SlidesConfig
    options: SlidesConfig
    suffixes = (*SCANNERS, *PERHAPS)
    beside = (".dat", ".ini", ".opt", ".geojson")  # of .mrxs and .vms, and outlines
    channels = ("red", "green", "blue")

    def prepare(self) -> None:
        """Finds the tissue on a small picture of each slide and decides on the tiles."""
        super().prepare()
        self._samples: dict[int, Image] = {}
        with ThreadPoolExecutor() as pool:  # OpenSlide releases Python's lock
            plans = list(pool.map(self._plan, range(len(self.files))))
        plans = _one_of_each(plans)
        patients = [plan.patient for plan in plans]
        self.files = group_by_names(self.files, "slides", identifiers=patients)
        self.faults = {file: plan.fault for file, plan in enumerate(plans) if plan.fault}
        self._report(plans)
        self._details = [*self._rows(plans)]
        self._tilings = [plan.tiling for plan in plans]
        self._cut([plan.places for plan in plans])
        self._label()

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a slide, or a folder with one among its first 10,000 files."""
        return holds_slides(path)

    def endings(self) -> tuple[str, ...]:
        """Returns the endings of scanners' files, and others of files that OpenSlide opens."""
        return (*self.suffixes, *other_endings(self.path))

    @classmethod
    def example(cls, folder: Path) -> None:
        """Writes a small slide of one tile's width, for checks."""
        rng = np.random.default_rng(0)
        coarse = rng.integers(60, 200, (9, 5, 3), np.uint8) + np.array([50, 0, 40], np.uint8)
        write_slide(folder / "slide.tif", [cv2.resize(coarse, (256, 480))], 0.5)

    def draw(self, file: int) -> Image:
        """Returns a picture of a slide, (h, w, 3) RGB, with its tissue, pen marks and tiles.

        Args:
            file: Position of the slide in `files`.

        Raises:
            DataError: If the slide cannot be used.
        """
        return draw(self.path_of(file), self.files.key(file), self.options)

    def _plan(self, file: int) -> Plan:
        return make_plan(self.path_of(file), self.files.key(file), self.options)

    def details(self) -> list[tuple[str, ...]]:
        """Returns a table of the slides with their tiles and positions, those without any first."""
        return [("slide", "tiles", "of rows x columns", "why none"), *self._details]

    def _report(self, plans: list[Plan]) -> None:
        """Logs which slides have no tiles; refuses if most slides cannot be used."""
        broken = self.faults
        slides = sum(bool(plan.fault or plan.tiling) for plan in plans)
        empty = sum(not len(plan.places) for plan in plans if plan.tiling)
        if broken and 2 * len(broken) > slides:
            raise DataError(
                f"{len(broken)} of {plural(slides, 'slide')} in '{self.path}' cannot be used; "
                f"{self.listed_faults()}."
            )
        if empty + len(broken) == slides:
            inked = sum(plan.inked for plan in plans)
            ink = (
                f" {plural(inked, 'tile')} {agree(inked, 'has', 'have')} the color of ink; "
                "data.options.pen=keep keeps them."
            )
            first, *others = [row for row in self._rows(plans) if row[1] == "0"]
            raise DataError(
                f"No slide in '{self.path}' has a tile with enough tissue: '{first[0]}'"
                f"{f' (and {len(others)} more)' if others else ''} {first[-1]}."
                f"{ink if inked else ''} Lower data.options.min_tissue (0 keeps all "
                "tiles), data.options.tissue_threshold (the saturation of pale tissue, 4 to 11 of "
                "255 if it is not set) or data.options.tile; "
                "--set data.options.overviews=FOLDER draws what is found."
            )
        if broken:
            reasons = self.listed_faults()
            count = plural(slides, "slide")
            _log.warning("%d of %s cannot be used: %s.", len(broken), count, reasons)
        self._remark(plans, slides, empty)

    def _rows(self, plans: list[Plan]) -> Iterator[tuple[str, ...]]:
        reasons = {file: plan.why_empty(self.options) for file, plan in enumerate(plans)}
        for file in sorted(reasons, key=lambda file: not reasons[file]):
            plan, reason = plans[file], reasons[file]
            if plan.tiling or plan.fault:
                grid = " x ".join(map(str, plan.shape)) if plan.tiling else ""
                count = 0 if reason else len(plan.places)
                yield self.files.key(file), f"{count:,}", grid, reason

    def _remark(self, plans: list[Plan], slides: int, empty: int) -> None:
        """Adds to the remarks which tissue was found, and how."""
        remarks = []
        if empty:
            remarks.append(
                f"{empty} of {plural(slides, 'slide')} {agree(empty, 'has', 'have')} no tile; "
                "'ssl-kit inspect' says why."
            )
        inked = [plan.inked for plan in plans if plan.inked]
        if inked:
            remarks.append(
                f"{plural(sum(inked), 'tile')} of {plural(len(inked), 'slide')} "
                f"{agree(sum(inked), 'has', 'have')} the color of blue, green or red ink and "
                f"{agree(sum(inked), 'is', 'are')} left out; --set "
                "data.options.pen=keep keeps them."
            )
        outlined = sum(plan.outlined for plan in plans)
        if self.options.outlines and self.options.min_tissue and outlined < slides:
            remarks.append(
                f"{slides - outlined} of {plural(slides, 'slide')} "
                f"{agree(slides - outlined, 'has', 'have')} no file of outlines in "
                f"'{self.options.outlines}'; the tissue there is detected."
            )
        beside = sum(key.lower().endswith(".geojson") for key in walk(self.path))
        if beside and not self.options.outlines:
            remarks.append(
                f"{plural(beside, '.geojson file')} {agree(beside, 'is', 'are')} not read; "
                f"--set data.options.outlines={self.path} takes their areas for the tissue."
            )
        self.files = replace(self.files, remarks=(*self.files.remarks, *remarks))

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
        """Labels the tiles for which the table has a label at their place.

        Raises:
            UsageError: If no place is on a tile.
        """
        table = self.labels_table or table_in(self.path)
        keys = [self.files.key(file) for file in range(len(self.files))]
        parts = read_table(table, self.path, keys).parts if table else ()
        if not parts:
            return
        files = {key: file for file, key in enumerate(keys)}
        tiles = zip(self._file.tolist(), self._place.tolist(), strict=True)
        number = {(file, *place): i for i, (file, place) in enumerate(tiles)}
        label = [self.index.label(i) for i in range(len(self.index))]
        hits = 0
        for part in parts:
            tiling, place = self._tilings[files[part.key]], _place(part, str(table))
            at = None if tiling is None else number.get((files[part.key], *tiling.place(*place)))
            if at is not None:
                label[at], hits = part.label, hits + 1
        if not hits:
            raise UsageError(
                f"No tile is at any of {plural(len(parts), 'place')} in '{table}'; x and y are "
                "pixels of the slide's finest level."
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


def _one_of_each(plans: list[Plan]) -> list[Plan]:
    """Keeps one of the files of each DICOM slide, because OpenSlide finds the others."""
    identities: set[str] = set()
    kept = []
    for plan in plans:
        again = plan.identity and plan.identity in identities
        kept.append(Plan.empty() if again else plan)
        identities.add(plan.identity)
    return kept


def _place(part: Part, table: str) -> tuple[float, float]:
    """Returns x and y of a part of a slide."""
    try:
        return float(part.x), float(part.y)
    except ValueError as error:
        raise UsageError(
            f"'{table}' line {part.line}: x and y are pixels of the slide's finest level, not "
            f"'{part.x}' and '{part.y}'."
        ) from error
