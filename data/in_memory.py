"""A dataset whose decoded images stay in memory, so that repeated reads cost nothing."""

from __future__ import annotations

from ..core.dataset import Dataset, Image, Sample
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
        super().__init__(value_range=dataset.value_range)
        self.path, self.index, self.channels = dataset.path, dataset.index, dataset.channels
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
        return self._dataset.read(i)


def kept_in_memory(dataset: Dataset, positions: Positions, workers: int = -1) -> Dataset:
    """Returns the dataset with these images in memory, or as it is if they do not fit."""
    if fits_in_memory(dataset, positions, choose_workers(workers)):
        return InMemory(dataset, positions)
    return dataset
