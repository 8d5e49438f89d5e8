"""Patches of slides as image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_kit import Image
from ssl_kit.data import FileDataset, datasets

from .names import group_by_names


class Patches(FileDataset):
    """JPEG, PNG, TIFF and other image files, each a patch of a slide.

    The files are read by `image_folder` and its options. Where no group is declared, patches whose
    names hold the barcode of a patient, or the name of a slide and a position, are grouped.
    """

    Config = datasets["image_folder"].Config
    suffixes = datasets["image_folder"].suffixes
    kind = "patches"

    def __init__(self, *settings: Any, **named: Any) -> None:
        """Opens the image folder; the arguments are those of `Dataset`."""
        self._images = datasets["image_folder"](*settings, **named)
        super().__init__(*settings, **named)

    def prepare(self) -> None:
        """Takes the images of the folder, and groups them by patient or slide."""
        self.files, self.faults = self._images.files, self._images.faults
        self.channels = self._images.channels
        self.index = group_by_names(self._images.index, "patches", parts=True)

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
