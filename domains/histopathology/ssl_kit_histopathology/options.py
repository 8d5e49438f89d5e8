"""Options of the reader of whole slides."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ssl_kit import Config
from ssl_kit.data import LocalPath, OutPath


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
    tissue_threshold: Annotated[
        float | None,
        Field(
            ge=0,
            le=255,
            description="smallest saturation of tissue relative to the glass, from 0 to 255 "
            "(default: measured on each slide, 4 to 11)",
        ),
    ] = None
    pen: Annotated[
        Literal["leave_out", "keep"],
        Field(description="treatment of blue, green and red pen marks; keep takes them for tissue"),
    ] = "leave_out"
    outlines: Annotated[
        LocalPath,
        Field(
            description="GeoJSON file, or folder of GeoJSON files named after the slides, with "
            "outlines of the tissue as QuPath exports them; '' to detect the tissue"
        ),
    ] = ""
    overviews: Annotated[
        OutPath,
        Field(
            description="folder for a picture of each slide with its tiles drawn (PNG) and the "
            "outlines of its tissue (GeoJSON); '' for none"
        ),
    ] = ""
    stain: Annotated[
        Literal["as_scanned", "macenko", "reinhard"],
        Field(description="normalization of the stains of each slide"),
    ] = "as_scanned"
