"""Options of the GeoTIFF reader."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from ssl_kit import Config

_BLOCK = re.compile(r"(\d+(?:\.\d+)?) ?(km|px)")


class GeoTiffConfig(Config):
    """Options of the GeoTIFF reader."""

    tile: Annotated[
        int, Field(ge=16, description="height and width in pixels of the tiles of a large raster")
    ] = 256
    stride: Annotated[
        int | None, Field(ge=1, description="pixels from tile to tile (default: its size)")
    ] = None
    resolution: Annotated[
        float | None,
        Field(
            gt=0,
            description="size of a pixel in the unit of the map, mostly meters (default: "
            "that of the finest band)",
        ),
    ] = None
    max_nodata: Annotated[
        float,
        Field(
            ge=0, le=1, description="largest share of pixels without data in a tile or a small file"
        ),
    ] = 0.5
    nodata: Annotated[
        float | None,
        Field(description="value without data, besides those that files declare"),
    ] = None
    guess_nodata: Annotated[
        bool,
        Field(
            description="search for frequent values far from all others, which count as no data "
            "although the files do not declare them, unless nodata is given"
        ),
    ] = True
    palette: Annotated[
        Literal["colors", "numbers"],
        Field(
            description="what a raster with a color table is: its colors, or one band of numbers"
        ),
    ] = "colors"
    max_cloud: Annotated[
        float,
        Field(ge=0, le=1, description="largest share of cloud in a tile, if there is a mask"),
    ] = 0.5
    cloud_band: Annotated[
        str,
        Field(
            description="name of a band, or ending of a file beside the scene, that marks clouds "
            "by values other than 0; scl and qa_pixel are known"
        ),
    ] = ""
    sensor: Annotated[
        Literal["", "sentinel2", "landsat45", "landsat7", "landsat89", "naip"],
        Field(description="sensor, which names the bands (default: by file names)"),
    ] = ""
    bands: Annotated[
        tuple[Annotated[int, Field(ge=1)] | str, ...],
        Field(description="names or numbers, from 1, of the bands to use (default: all)"),
    ] = ()
    channels: Annotated[
        tuple[str, ...],
        Field(description="names of these bands, or of all bands if bands are chosen by name"),
    ] = ()
    indices: Annotated[
        tuple[Literal["ndvi", "ndwi", "mndwi", "ndbi", "ndmi", "nbr", "ndre", "savi"], ...],
        Field(description="spectral indices that are added as channels"),
    ] = ()
    pansharpen: Annotated[
        bool, Field(description="sharpening of the visible bands by the band pan (Brovey's method)")
    ] = False
    reflectance: Annotated[
        tuple[float, float] | None,
        Field(
            description="gain and offset from pixel values to reflectance (default: those of the "
            "files or their product)"
        ),
    ] = None
    range: Annotated[
        tuple[float, float] | None,
        Field(
            description="values that become 0 and 1 in all bands but thermal ones (default: the "
            "1st and 99th percentile of each band)"
        ),
    ] = None
    block: Annotated[
        str,
        Field(description="side of the blocks of the map that are groups, such as 10km or 512px"),
    ] = ""
    buffer: Annotated[
        float | None,
        Field(
            ge=0,
            description="least distance between tiles of different blocks, in its unit",
        ),
    ] = None
    near: Annotated[
        float | None,
        Field(
            gt=0,
            description="largest distance in meters between the centers of neighbors "
            "(default: 1.5 times the side of a tile)",
        ),
    ] = None

    @field_validator("block")
    @classmethod
    def _is_a_length(cls, value: str) -> str:
        if value and (_BLOCK.fullmatch(value) is None or not float(value.rstrip("kmpx "))):
            raise ValueError("give a number and a unit: 10km, or 512px for files without a map")
        return value

    @field_validator("range")
    @classmethod
    def _rises(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and value[0] >= value[1]:
            raise ValueError("the first must be less than the second")
        return value

    @property
    def block_side(self) -> tuple[float, str]:
        """Side and unit of the blocks, (0, "") if there are none."""
        match = _BLOCK.fullmatch(self.block)
        return (float(match[1]), match[2]) if match else (0.0, "")
