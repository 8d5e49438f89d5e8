"""Finds slides among files, whatever their endings."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import openslide

from ssl_kit.data import file_path, walk

SCANNERS = (".svs", ".svslide", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".czi")
PERHAPS = (".tif", ".tiff", ".dcm")  # OpenSlide must look into them
_LOOKED_AT, _LOOKED_INTO = 10_000, 16  # files that are listed, and opened of each ending
# TIFF and BigTIFF of both byte orders, Zeiss, Sakura
_BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"ZISRAWFILE", b"SQLite format 3")
# Endings of files that are no slides; all others are looked into.
_PICTURES = "png jpg jpeg jpe jfif bmp gif webp avif heic pnm ppm pgm"
_TEXTS = "csv tsv txt json geojson xml md html log ini yaml yml toml py ipynb pdf docx xls xlsx"
_DATA = "zip gz tar tgz 7z npy npz h5 hdf5 pt pth ckpt safetensors qpdata qpproj"
_OTHERS = frozenset(f".{ending}" for ending in f"{_PICTURES} {_TEXTS} {_DATA}".split())


def is_slide(file: Path) -> bool:
    """Asks OpenSlide whether a file is a slide, if its first bytes are those of a slide."""
    try:
        with file.open("rb") as opened:
            first = opened.read(132)
    except OSError:
        return False
    if not first.startswith(_BEGINNINGS) and first[128:] != b"DICM":
        return False
    return openslide.OpenSlide.detect_format(file) is not None


def holds_slides(path: Path) -> bool:
    """Tells whether a path is a slide, or a folder with one among its first 10,000 files."""
    opened: Counter[str] = Counter()
    for key in islice(walk(path), _LOOKED_AT):
        file = file_path(path, key)
        suffix = file.suffix.lower()
        if suffix in SCANNERS:
            return True
        if suffix not in _OTHERS and opened[suffix] < _LOOKED_INTO:
            opened[suffix] += 1
            if is_slide(file):
                return True
    return False


def other_endings(path: Path) -> tuple[str, ...]:
    """Returns further endings of slides below a path, or names of slides without an ending."""
    endings: dict[str, None] = {}
    for key in walk(path):
        file = file_path(path, key)
        ending = file.suffix.lower() or file.name.lower()
        known = ending in _OTHERS or ending in endings or ending in (*SCANNERS, *PERHAPS)
        if not known and is_slide(file):
            endings[ending] = None
    return tuple(endings)
