"""Features of all images of a dataset, with what is known of each image."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.atomic import write_atomic
from ..core.dataset import Dataset
from ..core.domain import Domain
from ..core.errors import UsageError
from ..data.loader import Skipped
from .pretrained import Pretrained, embed


@dataclass(frozen=True)
class Embedding:
    """Features of the readable images of a dataset.

    Attributes:
        features: (n, D) float32.
        keys: (n,) names of the images.
        labels: (n,) class names, "" where an image has none.
        skipped: Name of each unreadable image, and the reason.
    """

    features: NDArray[np.float32]
    keys: NDArray[np.str_]
    labels: NDArray[np.str_]
    skipped: Skipped

    @classmethod
    def of(cls, model: Pretrained, dataset: Dataset, domain: Domain) -> Embedding:
        """Embeds all images with the "eval" view of a domain."""
        index = dataset.index
        features, positions, skipped = embed(model, dataset, np.arange(len(dataset)), domain)
        keys: NDArray[Any] = np.char.decode(index.keys[positions], "utf-8", "surrogateescape")
        names = np.array(["", *index.classes])
        return cls(features, keys, names[index.labels[positions] + 1], skipped)

    def save(self, file: Path) -> None:
        """Writes features, keys and labels to an .npz file."""
        buffer = io.BytesIO()
        columns = {"features": self.features, "keys": self.keys, "labels": self.labels}
        np.savez(buffer, allow_pickle=False, **columns)
        write_atomic(file, buffer.getvalue())


def refuse_suffix(file: Path) -> None:
    """Raises UsageError if features cannot be written to a file of that name."""
    if file.suffix != ".npz":
        raise UsageError(f"--out must end in .npz, not '{file.name}'.")
