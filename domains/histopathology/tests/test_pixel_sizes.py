"""The size of a slide's pixels, as its header gives it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from ssl_kit import DataError
from ssl_kit_histopathology.ome import pixel_sides
from ssl_kit_histopathology.slides import Slides, SlidesConfig

Make = Callable[..., np.ndarray]


def opened(path: Path) -> Slides:
    return Slides.open(path, SlidesConfig(min_tissue=0))


@pytest.mark.parametrize(
    ("side", "unit"), [(0.5, "\N{MICRO SIGN}m"), (500, "nm"), (0.0005, "mm"), (0.5, None)]
)
def test_the_size_of_a_pixel_is_read_from_ome(
    tmp_path: Path, tissue: Make, side: float, unit: str | None
) -> None:
    sizes = {"axes": "YXS", "PhysicalSizeX": side, "PhysicalSizeY": side}
    units = {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit} if unit else {}
    how = {"photometric": "rgb", "tile": (256, 256), "metadata": {**sizes, **units}}
    tifffile.imwrite(tmp_path / "a.ome.tif", tissue(448, 672), **how)
    assert len(opened(tmp_path)) == 6


@pytest.mark.parametrize(("sides", "usable"), [((0.5, 0.51), True), ((0.5, 1.0), False)])
def test_pixels_that_are_not_square_are_refused(
    tmp_path: Path, tissue: Make, sides: tuple[float, float], usable: bool
) -> None:
    resolution = tuple(1e4 / side for side in sides)
    how = {"photometric": "rgb", "tile": (256, 256), "resolution": resolution}
    tifffile.imwrite(tmp_path / "a.tif", tissue(448, 672), resolutionunit="CENTIMETER", **how)
    if usable:
        assert len(opened(tmp_path))
    else:
        with pytest.raises(DataError, match=r"0\.5 microns wide and 1 high"):
            opened(tmp_path)


def test_of_several_images_in_ome_that_of_the_slide_counts() -> None:
    label = '<Pixels SizeX="30" SizeY="20" PhysicalSizeX="9" PhysicalSizeY="9"/>'
    unit = "PhysicalSizeXUnit='&#181;m' PhysicalSizeYUnit='pixel'"
    slide = f'<Pixels SizeX="300" SizeY="200" PhysicalSizeX="1" PhysicalSizeY="1" {unit}/>'
    assert pixel_sides(f"<OME>{label}{slide}</OME>", (30, 20)) == (9, 9)
    assert pixel_sides(f"<OME>{label}{slide}</OME>", (300, 200)) is None
    assert pixel_sides(slide.replace("'pixel'", "'nm'"), (300, 200)) == (1, 0.001)
