"""A dataset whose decoded images stay in memory, for those who look at them many times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from ..core.dataset import Dataset, Image, Sample
from ..core.errors import DataError
from .loader import choose_workers, fits_in_memory
from .splits import Positions


class InMemory(Dataset):
    """Another dataset, some of whose images are kept; loading processes share them.

    Args:
        dataset: The images.
        positions: Which of them are read now and kept; the unreadable ones are left to fail later.
    """

    def __init__(self, dataset: Dataset, positions: Positions) -> None:
        super().__init__(dataset.value_range)
        self.index, self.channels = dataset.index, dataset.channels
        self._dataset = dataset
        self._kept: dict[int, Sample] = {}
        for position in positions.tolist():
            try:
                self._kept[position] = dataset[position]
            except DataError:
                continue

    def __getitem__(self, i: int) -> Sample:
        """Returns image i, from memory where it is kept."""
        return self._kept[i] if i in self._kept else self._dataset[i]

    def read(self, i: int) -> Image:
        """Returns image i as stored."""
        return self._dataset.read(i)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """It opens no path."""
        return False

    @classmethod
    def open(
        cls,
        path: Path,
        options: Any,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> Dataset:
        """It opens no path."""
        raise DataError(f"'{path}' is opened by another dataset")


def kept_in_memory(dataset: Dataset, positions: Positions, workers: int = -1) -> Dataset:
    """Returns the dataset with these images in memory, or as it is if they do not fit."""
    if fits_in_memory(dataset, positions, choose_workers(workers)):
        return InMemory(dataset, positions)
    return dataset
