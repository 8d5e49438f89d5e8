"""A dataset that needs no files: the handwritten digits that scikit-learn ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ... import Config, Dataset, Image, Index


class Digits(Dataset):
    """1,797 real handwritten digits, 8x8, gray (UCI ML hand-written digits, test part)."""

    channels = ("gray",)

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        super().__init__([[0, 16]])
        digits = load_digits()
        self._images: Image = digits.images.astype(np.float32)[..., None]
        keys = [f"digit{i:04d}" for i in range(len(self._images))]
        self.index = Index.build(keys, labels=[str(label) for label in digits.target])

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """It opens no path."""
        return False

    @classmethod
    def open(
        cls,
        path: Path,
        options: Config,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> Digits:
        """Loads the digits; the path is not looked at."""
        return cls()

    def read(self, i: int) -> Image:
        """Returns digit i, (8, 8, 1), 0 to 16."""
        image: Image = self._images[i]
        return image
