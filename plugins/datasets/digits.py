"""A dataset that needs no files: the handwritten digits that scikit-learn ships."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ... import Dataset, Image, Index


class Digits(Dataset):
    """1,797 real handwritten digits, 8x8, gray (UCI ML hand-written digits, test part)."""

    channels = ("gray",)

    def prepare(self) -> None:
        """Loads the digits."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        self._images: Image = digits.images.astype(np.float32)[..., None]
        keys = [f"digit{i:04d}" for i in range(len(self._images))]
        self.index = Index.build(keys, labels=[str(label) for label in digits.target])

    def measure_value_range(self, images: int = 64) -> NDArray[np.float64]:
        """Returns 0 and 16, the range of all digits."""
        return np.array([[0.0, 16.0]])

    def read(self, i: int) -> Image:
        """Returns digit i, (8, 8, 1), 0 to 16."""
        image: Image = self._images[i]
        return image
