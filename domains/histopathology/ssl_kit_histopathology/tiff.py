"""Writes small pyramids as tiled TIFF, for the conformance rules, tests and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tifffile import TiffWriter

from ssl_kit import Image


def write_slide(
    path: Path,
    levels: Sequence[Image],
    mpp: float | None,
    tile: int = 256,
    compression: str | None = None,
) -> None:
    """Writes a pyramid.

    Args:
        path: File to write.
        levels: (H, W, 3) RGB uint8, the finest first.
        mpp: Microns per pixel of the first level, or None to leave it out.
        tile: Height and width in pixels of the tiles in the file.
        compression: Name that tifffile knows, such as "zlib".
    """
    with TiffWriter(path) as tiff:
        for number, level in enumerate(levels):
            per_centimeter = 1e4 / (mpp or 1) * level.shape[1] / levels[0].shape[1]
            tiff.write(
                level,
                tile=(tile, tile),
                photometric="rgb",
                subfiletype=int(number > 0),  # 1 is a level of lower resolution
                compression=compression,
                metadata=None,
                software=False,
                resolution=None if mpp is None else (per_centimeter, per_centimeter),
                resolutionunit=None if mpp is None else "CENTIMETER",
            )
