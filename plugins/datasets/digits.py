"""A dataset that needs no files: the handwritten digits that scikit-learn ships."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ... import Dataset, Image, Index


class Digits(Dataset):
    """1,797 real handwritten digits, 8x8, gray (UCI ML hand-written digits, test part)."""

    channels = ("gray",)

    def prepare(self) -> None:
        """Loads the digits."""
        self._images, labels = _read()
        keys = [f"digit{i:04d}" for i in range(len(self._images))]
        self.index = Index.build(keys, labels=labels)

    def measure_value_range(self, images: int = 64) -> NDArray[np.float64]:
        """Returns 0 and 16, the range of all digits."""
        return np.array([[0.0, 16.0]])

    def read(self, i: int) -> Image:
        """Returns digit i, (8, 8, 1), 0 to 16."""
        image: Image = self._images[i]
        return image


@cache
def _read() -> tuple[Image, list[str]]:
    """Returns images (1797, 8, 8, 1) and labels; they are in a text file, which is slow to read."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images.astype(np.float32)[..., None], [str(label) for label in digits.target]
