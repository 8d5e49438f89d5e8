"""The contract of a dataset: an index of its images, and one image at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .config import Config
from .errors import DataError
from .index import Index, LabelSource, evenly_spaced

Image = NDArray[Any]


class Transform(Protocol):
    """A random change of an image; `ssl_kit.data.augment` has many, and base classes for more."""

    def __call__(self, *, image: Image, **targets: Any) -> Mapping[str, Any]:
        """Returns the changed image (H, W, C) as "image", and further targets by their names."""


@dataclass(frozen=True)
class Sample:
    """One image as augmentations get it.

    Attributes:
        image: (H, W, C), uint8, or float32 in [0, 1].
        channels: Names of the C channels.
        value_range: (C, 2) physical values that became the lowest and the highest image value.
        key: Unique name.
        label: Class name, "" if unlabeled.
        group: What must not be split across train and test.
    """

    image: Image
    channels: tuple[str, ...]
    value_range: NDArray[np.float64]
    key: str
    label: str
    group: str


def _bulk(values: NDArray[np.float64]) -> tuple[float, float]:
    """Returns the 0.5th and 99.5th percentile of the finite values; (0, 1) if there are none."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [0.5, 99.5]) if len(finite) else (0.0, 1.0)
    return low, high if high > low else low + 1


class Dataset(ABC):
    """Images of one kind, opened lazily. Subclass it to register a format or a demo.

    A subclass sets `index` and `channels` in `prepare` and returns images in `read`. A dataset that
    needs no files needs no more than these two. `ssl_kit.data.FileDataset` is the base of readers
    of files.

    Attributes:
        Config: The reader's own options.
        path: File or folder that is read.
        options: An instance of `Config`.
        labels: Where labels, groups and splits come from.
        labels_table: Table with columns path, label, group and split, or None.
        index: What the dataset holds; set by the subclass.
        channels: Names of the C channels; set by the subclass.
        value_range: (C, 2) physical values that map to the ends of the range of an image.
            Measured where the format does not fix it; a run keeps it for every later use.
    """

    Config: ClassVar[type[Config]] = Config
    options: Any
    index: Index
    channels: tuple[str, ...]

    def __init__(
        self,
        path: Path | None = None,
        options: Any = None,
        labels: LabelSource | Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> None:
        self.path = path or Path()
        self.labels = labels if isinstance(labels, LabelSource) else LabelSource(labels)
        self.labels_table = self.labels.table
        self.options = self.Config() if options is None else options
        self._value_range = None if value_range is None else np.asarray(value_range, float)
        self.prepare()

    def prepare(self) -> None:  # noqa: B027  a dataset around another one sets both by itself
        """Sets `index` and `channels`, without reading many pixels; called by the constructor."""

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells, without reading much, whether `path` looks like something this class opens.

        A dataset that needs no files accepts no path.
        """
        return False

    @classmethod
    def open(
        cls,
        path: Path,
        options: Any,
        labels: LabelSource | Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> Self:
        """Opens a dataset.

        Args:
            path: File or folder; a dataset that needs no files ignores it.
            options: An instance of `Config`.
            labels: Table with columns path, label, group, split, or where else labels come from.
            value_range: (C, 2), that of a run, or None to measure it.

        Raises:
            DataError: If no image can be read.
        """
        return cls(path, options, labels, value_range)

    @classmethod
    def example(cls, folder: Path) -> Path | None:
        """Writes a few small files that this class opens, for the conformance rules.

        A reader of files has an example. A dataset that needs no files has none.

        Args:
            folder: Empty.

        Returns:
            What to open, `folder` or a file in it; None if there is nothing to write.
        """
        return None

    @abstractmethod
    def read(self, i: int) -> Image:
        """Returns image i as stored, (H, W, C), in physical values.

        Raises:
            DataError: If the file is damaged; the message gives the reason.
        """

    @property
    def value_range(self) -> NDArray[np.float64]:
        """(C, 2) physical values that map to the ends of the range of an image."""
        if self._value_range is None:
            self._value_range = self.measure_value_range()
        return self._value_range

    def measure_value_range(self, images: int = 64) -> NDArray[np.float64]:
        """Returns 0 and 255 for uint8, else the 0.5th and 99.5th percentile of each channel.

        Args:
            images: How many images, evenly spread over the dataset, are looked at.
        """
        channels = len(self.channels)
        pixels: list[Image] = []
        for i in evenly_spaced(len(self), images).tolist():
            try:
                image = self.read(i)
            except DataError:
                continue
            if image.dtype == np.uint8:
                return np.tile([0.0, 255.0], (channels, 1))
            image = np.abs(image) if np.iscomplexobj(image) else image
            flat = image.reshape(-1, channels).astype(np.float64)
            pixels.append(flat[:: max(1, len(flat) // 4096)])
        if not pixels:
            raise DataError("None of the images looked at can be read; see the files themselves.")
        return np.array([_bulk(column) for column in np.concatenate(pixels).T])

    def scale(self, image: Image) -> Image:
        """Maps physical values to uint8 or to float32 in [0, 1]; complex values by magnitude."""
        low, high = self.value_range.T
        if image.dtype == np.uint8 and not low.any() and (high == 255).all():
            return image
        image = np.abs(image) if np.iscomplexobj(image) else image
        scaled = (image.astype(np.float32) - low.astype(np.float32)) / (high - low).astype(
            np.float32
        )
        unit: Image = np.nan_to_num(scaled, nan=0.0).clip(0, 1).astype(np.float32)
        return unit

    @property
    def targets(self) -> NDArray[np.float32] | None:
        """(n, T) labels that are numbers, or several an image; see `Index.targets`."""
        return self.index.targets

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> Sample:
        """Reads and scales image i."""
        image = self.read(i)
        if image.ndim != 3 or image.shape[2] != len(self.channels) or 0 in image.shape:
            raise DataError(f"its shape {image.shape} is not (H, W, {len(self.channels)})")
        index = self.index
        return Sample(
            self.scale(image),
            self.channels,
            self.value_range,
            index.key(i),
            index.label(i),
            index.group(i),
        )

    def through(self, transform: Transform) -> Dataset | None:
        """Returns the same data, altered before they become images; None where they are images.

        A dataset that makes pictures of signals alters the signals.

        Args:
            transform: Gets (1, T, C) float32 in [0, 1], 0.5 being zero.
        """
        return None

    def fingerprint(self) -> str:
        """Returns 16 hex digits that change when the names, sizes, labels or splits change."""
        return self.index.fingerprint()
