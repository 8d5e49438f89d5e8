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
        int, Field(ge=16, description="pixels, height and width of the tiles of a large raster")
    ] = 256
    stride: Annotated[
        int | None, Field(ge=1, description="pixels from tile to tile; a tile if left out")
    ] = None
    resolution: Annotated[
        float | None,
        Field(gt=0, description="size of a pixel in the map's unit, mostly meters; the finest "
              "band's if left out"),
    ] = None  # fmt: skip
    max_nodata: Annotated[
        float, Field(ge=0, le=1, description="tiles with a larger share of no data are left out")
    ] = 0.5
    nodata: Annotated[
        float | None, Field(description="value that means no data, besides what the files say")
    ] = None
    max_cloud: Annotated[
        float,
        Field(ge=0, le=1, description="tiles with a larger share of cloud are left out, where "
              "there is a mask"),
    ] = 0.5  # fmt: skip
    cloud_band: Annotated[
        str,
        Field(description="name of a band, or ending of a file beside the scene, that is not 0 "
              "where there is cloud; scl and qa_pixel are known"),
    ] = ""  # fmt: skip
    sensor: Annotated[
        Literal["", "sentinel2", "landsat45", "landsat7", "landsat89", "naip"],
        Field(description="names the bands; by the files' names if left out"),
    ] = ""
    bands: Annotated[
        tuple[Annotated[int, Field(ge=1)] | str, ...],
        Field(description="names or numbers from 1 of the bands to use; all if left out"),
    ] = ()
    band_names: Annotated[
        tuple[str, ...],
        Field(description="names of these bands; of all where bands are chosen by name"),
    ] = ()
    indices: Annotated[
        tuple[Literal["ndvi", "ndwi", "mndwi", "ndbi", "ndmi", "nbr", "ndre", "savi"], ...],
        Field(description="spectral indices to add as channels"),
    ] = ()
    pansharpen: Annotated[
        bool, Field(description="sharpen the visible bands with the band pan, by Brovey's method")
    ] = False
    reflectance: Annotated[
        tuple[float, float] | None,
        Field(description="gain and offset that make reflectance of the numbers; as the files or "
              "their product say if left out"),
    ] = None  # fmt: skip
    range: Annotated[
        tuple[float, float] | None,
        Field(description="values that become 0 and 1 in all bands but thermal ones; the 1st and "
              "99th percentile of each if left out"),
    ] = None  # fmt: skip
    block: Annotated[
        str,
        Field(description="side of the blocks of the map that are groups, such as 10km or 512px"),
    ] = ""
    buffer: Annotated[
        float | None,
        Field(ge=0, description="distance between tiles of different blocks, in the unit of block"),
    ] = None
    near: Annotated[
        float | None,
        Field(gt=0, description="meters from center to center within which tiles are neighbors; "
              "1.5 times the side of a tile if left out"),
    ] = None  # fmt: skip

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
        found = _BLOCK.fullmatch(self.block)
        return (float(found[1]), found[2]) if found else (0.0, "")
