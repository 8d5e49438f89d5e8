"""Decides which tiles of a slide are used, from its tissue."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ssl_kit import DataError, Image
from ssl_kit.data import plural, write_atomic

from .options import SlidesConfig
from .outlines import Frame, outlines_of, read_outlines, write_outlines
from .overview import draw_tiles, overview
from .slide_files import Header, opened, read_header
from .tiles import Ints, Tiling, shares
from .tissue import Tissue, find_tissue


@dataclass(frozen=True)
class Plan:
    """Tiles of a slide.

    Attributes:
        places: (n, 2) row and column of the tiles.
        tiling: How the slide is cut; None for a slide that cannot be used.
        identity: Identifier that all files of one DICOM slide share; "" for other formats.
        fault: Reason why the slide has no tiles, "" if it has.
        inked: Number of tiles that are left out because of pen marks.
        shape: Numbers of rows and columns of tiles, those without tissue included.
        most: Largest share of tissue in a tile, from 0 to 1.
        outlined: Whether the tissue is that of a GeoJSON file.
        patient: Patient according to the header, "" if it does not say.
    """

    places: Ints
    tiling: Tiling | None = None
    identity: str = ""
    fault: str = ""
    inked: int = 0
    shape: tuple[int, int] = (0, 0)
    most: float = 1.0
    outlined: bool = False
    patient: str = ""

    def why_empty(self, options: SlidesConfig) -> str:
        """Says why a slide has no tiles; "" if it has some."""
        if self.fault or len(self.places):
            return self.fault
        if not all(self.shape):
            return (
                f"is smaller than a tile of {options.tile} pixels at {options.mpp:g} microns per "
                "pixel"
            )
        if self.inked:
            return f"has tissue with the color of ink only, {plural(self.inked, 'tile')}"
        return (
            f"has too little tissue: at most {100 * self.most:.0f} % of a tile, and "
            f"data.options.min_tissue is {100 * options.min_tissue:g} %"
        )

    @classmethod
    def empty(cls) -> Plan:
        """Returns the plan of a file that belongs to a slide that is used already."""
        return cls(np.zeros((0, 2), np.int64))


def make_plan(path: Path, key: str, options: SlidesConfig) -> Plan:
    """Finds the tissue of a slide and its tiles, and draws them if the options say so.

    Args:
        path: The slide.
        key: Path of the slide in the folder of the data.
        options: Of the reader.

    Raises:
        UsageError: If the outlines are wrong.
        RunError: If the overview cannot be written.
    """
    try:
        with opened(path) as slide:
            header, tiling = _cut(slide, options)
            plan = _plan(slide, header, tiling, key, options)
            return replace(plan, identity=header.identity, patient=header.patient)
    except DataError as error:
        return Plan(np.zeros((1, 2), np.int64), fault=str(error))


def draw(path: Path, key: str, options: SlidesConfig) -> Image:
    """Returns a picture of a slide, (h, w, 3) RGB, with its tissue, pen marks and tiles.

    Args:
        path: The slide.
        key: Path of the slide in the folder of the data.
        options: Of the reader.

    Raises:
        DataError: If the slide cannot be used.
    """
    with opened(path) as slide:
        header, tiling = _cut(slide, options)
        size = (header.height, header.width)
        picture, tissue, _ = _tissue(slide, header, tiling, key, options)
        kept = shares(tissue.mask, size, tiling) >= options.min_tissue
        return draw_tiles(picture, tissue, np.argwhere(kept), tiling, size)


def _cut(slide: Any, options: SlidesConfig) -> tuple[Header, Tiling]:
    header = read_header(slide, options.assume_mpp)
    stride = options.stride or options.tile
    choose = Tiling.choose
    return header, choose(header.mpp, header.downsamples, options.mpp, options.tile, stride)


def _plan(slide: Any, header: Header, tiling: Tiling, key: str, options: SlidesConfig) -> Plan:
    size = (header.height, header.width)
    shape = tiling.shape(*size)
    kept = np.ones(shape, bool)
    if not kept.size or not (options.min_tissue or options.overviews):
        return Plan(np.argwhere(kept), tiling, shape=shape)
    picture, tissue, outlined = _tissue(slide, header, tiling, key, options)
    of_tissue = shares(tissue.mask, size, tiling)
    kept = of_tissue >= options.min_tissue
    with_ink = shares(tissue.mask | tissue.pen, size, tiling) >= options.min_tissue
    places = np.argwhere(kept)
    if options.overviews:
        target = Path(options.overviews) / key
        drawn = draw_tiles(picture, tissue, places, tiling, size)
        frame = Frame(picture.shape[:2], size, header.origin)
        write_atomic(target.with_name(f"{target.name}.png"), _png(drawn))
        write_atomic(target.with_name(f"{target.name}.geojson"), write_outlines(tissue, frame))
    inked = int(with_ink.sum() - kept.sum())
    most = float(of_tissue.max())
    return Plan(places, tiling, inked=inked, outlined=outlined, shape=shape, most=most)


def _tissue(
    slide: Any, header: Header, tiling: Tiling, key: str, options: SlidesConfig
) -> tuple[Image, Tissue, bool]:
    """Returns the picture of a slide, its tissue, and whether a GeoJSON file outlines it."""
    picture, scanned = overview(slide, header, tiling)
    nothing = np.zeros(picture.shape[:2], bool)
    file = outlines_of(options.outlines, key) if options.outlines else None
    if file is not None:
        frame = Frame(picture.shape[:2], (header.height, header.width), header.origin)
        return picture, Tissue(read_outlines(file, frame), nothing, 0.0), True
    tissue = find_tissue(picture, scanned, options.tissue_threshold)
    if options.pen == "keep":
        tissue = Tissue(tissue.mask | tissue.pen, nothing, tissue.threshold)
    return picture, tissue, False


def _png(image: Image) -> bytes:
    return bytes(cv2.imencode(".png", image[..., ::-1])[1])
