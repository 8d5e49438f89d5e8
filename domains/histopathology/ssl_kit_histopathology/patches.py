"""Patches of slides as image files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssl_kit import Image
from ssl_kit.data import FileDataset, datasets

from .names import group_by_names
from .positions import place_patches, read_names


class PatchesConfig(datasets["image_folder"].Config):  # type: ignore[misc]
    """Options of the image folder, and of the names of patches."""

    numbers: Annotated[
        Literal["row_column", "x_y"],
        Field(description="order of the two numbers in names such as slide_3_12.png"),
    ] = "row_column"


class Patches(FileDataset):
    """JPEG, PNG, TIFF and other image files, each a patch of a slide.

    The files are read by `image_folder` and its options. Where no group is declared, patches whose
    names hold the barcode of a patient, or the name of a slide and a position, are grouped. Rows
    and columns in the names (r3_c12, x1024_y512, [x=10,y=20] or 3_12) are positions.
    """

    Config = PatchesConfig
    options: PatchesConfig
    suffixes = datasets["image_folder"].suffixes
    kind = "patches"

    def __init__(self, *settings: Any, **named: Any) -> None:
        """Opens the image folder; the arguments are those of `Dataset`."""
        self._images = datasets["image_folder"](*settings, **named)
        super().__init__(*settings, **named)

    def prepare(self) -> None:
        """Takes the images of the folder; patients, slides and positions are in their names."""
        self.files, self.faults = self._images.files, self._images.faults
        self.channels = self._images.channels
        index = self._images.index
        rows_first = self.options.numbers == "row_column"
        names = read_names([index.key(i) for i in range(len(index))], rows_first)
        placed = names.places is not None
        grouped = group_by_names(index, "patches", names.slides, are_placed=placed)
        self.index = place_patches(grouped, names)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the image folder accepts the path."""
        return bool(datasets["image_folder"].accepts(path))

    @classmethod
    def example(cls, folder: Path) -> Path | None:
        """Writes the example of the image folder."""
        example: Path | None = datasets["image_folder"].example(folder)
        return example

    def measure_value_range(self, images: int = 64) -> NDArray[np.float64]:
        """Returns the value range of the image folder."""
        measured: NDArray[np.float64] = self._images.measure_value_range(images)
        return measured

    def read(self, i: int) -> Image:
        """Returns image i as the image folder reads it."""
        image: Image = self._images.read(i)
        return image

    def orientation(self, i: int) -> int:
        """Returns the EXIF orientation that was applied to image i, 1 to 8."""
        return int(self._images.orientation(i))
