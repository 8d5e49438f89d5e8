"""Options of the raster reader."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .images import SarConfig


class SarRasterConfig(SarConfig):
    """Options of the raster reader."""

    tile: Annotated[
        int, Field(ge=16, description="height and width of a tile in pixels after multilooking")
    ] = 256
    stride: Annotated[
        int | None,
        Field(ge=1, description="pixels from tile to tile (default: its size)"),
    ] = None
    range_axis: Annotated[
        Literal["columns", "rows"],
        Field(description="direction of range in the file; in images it runs along the rows"),
    ] = "columns"
    stored: Annotated[
        Literal["auto", "amplitude", "intensity", "db"],
        Field(
            description="meaning of real pixel values: auto decides by their signs, the names of "
            "the bands and the number type, and a remark says what was decided"
        ),
    ] = "auto"
    scale: Annotated[
        float | None,
        Field(
            description="factor of the stored numbers, 0.01 for hundredths of decibels "
            "(default: that of the file, else 1)"
        ),
    ] = None
    offset: Annotated[
        float | None,
        Field(description="summand behind the factor (default: that of the file, else 0)"),
    ] = None
    nodata: Annotated[
        float | None,
        Field(
            description="stored number that means no data, besides what the files declare "
            "(default: found in the pixels)"
        ),
    ] = None
    polarizations: Annotated[
        tuple[str, ...], Field(description="names of the bands (default: those in the file)")
    ] = ()
    join: Annotated[
        bool,
        Field(
            description="joining of files that differ only in the polarization of their name, such "
            "as a_vv.tif and a_vh.tif, into one image"
        ),
    ] = True
    calibration_table: Annotated[
        Literal["sigmaNought", "betaNought", "gamma", "none"],
        Field(description="table of a Sentinel-1 .SAFE that calibrates its measurements"),
    ] = "sigmaNought"
    denoise: Annotated[
        bool,
        Field(
            description="subtraction of the thermal noise that a detected Sentinel-1 .SAFE "
            "declares, before calibration"
        ),
    ] = False
    max_nodata: Annotated[
        float,
        Field(ge=0, le=1, description="largest share of pixels without data in a tile"),
    ] = 0.5
