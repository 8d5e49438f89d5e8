"""A dataset whose decoded images stay in memory, so that repeated reads cost nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.dataset import Dataset, Image, Sample, Transform
from ..core.errors import DataError
from .loader import fits_in_memory
from .splits import Positions
from .workers import choose_workers


class InMemory(Dataset):
    """Another dataset with some of its images in memory, which loading processes share.

    Args:
        dataset: The images.
        positions: Images that are read now and kept; an unreadable one fails when it is asked for.
    """

    def __init__(self, dataset: Dataset, positions: Positions) -> None:
        super().__init__(dataset.path, dataset.options, dataset.labels, dataset.value_range)
        self.index, self.channels = dataset.index, dataset.channels
        self._dataset = dataset
        self._kept: dict[int, Sample] = {}
        for position in positions.tolist():
            try:
                self._kept[position] = dataset[position]
            except DataError:
                continue

    def __getitem__(self, i: int) -> Sample:
        """Returns image i, from memory if it is kept there."""
        return self._kept[i] if i in self._kept else self._dataset[i]

    def orientation(self, i: int) -> int:
        """Returns the EXIF orientation that was applied to image i; 1 if none was."""
        apply = getattr(self._dataset, "orientation", None)
        return int(apply(i)) if apply else 1

    def read(self, i: int) -> Image:
        """Returns image i as stored."""
        image = self._dataset.read(i)
        self.filled = self._dataset.filled
        return image

    def through(self, transform: Transform) -> Dataset | None:
        """Returns the same data, altered before they become images; these are not in memory."""
        return self._dataset.through(transform)

    def measure_value_range(self, images: int = 64) -> NDArray[np.float64]:
        """Returns the value range that the dataset measures."""
        return self._dataset.measure_value_range(images)

    def scale(self, image: Image) -> Image:
        """Maps physical values to those of an image, as the dataset does."""
        return self._dataset.scale(image)

    def fingerprint(self) -> str:
        """Returns the fingerprint of the dataset."""
        return self._dataset.fingerprint()


def kept_in_memory(dataset: Dataset, positions: Positions, workers: int = -1) -> Dataset:
    """Returns the dataset with these images in memory, or as it is if they do not fit."""
    if fits_in_memory(dataset, positions, choose_workers(workers)):
        return InMemory(dataset, positions)
    return dataset
