"""The contract of a dataset: an index of what is there, and one image at a time."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .config import Config
from .errors import DataError

if TYPE_CHECKING:
    import albumentations as A

SPLITS = ("", "train", "val", "test")
Image = NDArray[Any]


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


@dataclass(frozen=True)
class Index:
    """What a dataset holds, without its pixels: compact arrays that worker processes share.

    Attributes:
        keys: (n,) unique names, UTF-8 bytes.
        labels: (n,) class numbers, int32, -1 where unlabeled.
        classes: Class names.
        groups: (n,) group numbers, int64.
        group_names: (g,) group names, UTF-8 bytes.
        splits: (n,) int8 positions in `SPLITS`; 0 where none is declared.
        positions: (n, P) place of each image in its group, float32; P may be 0.
        remarks: What was assumed and left out, one sentence each; printed by the commands. No
            patient's name may stand in one.
    """

    keys: NDArray[np.bytes_]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]
    groups: NDArray[np.int64]
    group_names: NDArray[np.bytes_]
    splits: NDArray[np.int8]
    positions: NDArray[np.float32]
    remarks: tuple[str, ...] = ()

    @classmethod
    def build(
        cls,
        keys: Sequence[str],
        *,
        identities: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        splits: Sequence[str] | None = None,
        positions: ArrayLike | None = None,
        remarks: Sequence[str] = (),
    ) -> Index:
        """Packs plain lists of equal length n.

        Args:
            keys: Unique names.
            identities: What tells an image from all others anywhere (name and size, say); the
                group of an image that has no other. The keys if left out.
            labels: Class names, "" where unlabeled.
            groups: Group names, "" where the image is a group of its own.
            splits: "train", "val", "test" or "".
            positions: (n, P) numbers.
            remarks: What was assumed and left out.
        """
        n = len(keys)
        own = list(identities or keys)
        labeled = np.array(labels or [""] * n)
        classes = tuple(str(name) for name in np.unique(labeled) if name)
        codes = np.searchsorted(np.array(classes or [""]), labeled).astype(np.int32)
        codes[labeled == ""] = -1
        names = [group or identity for group, identity in zip(groups or [""] * n, own, strict=True)]
        group_names, group_codes = np.unique(_pack(names), return_inverse=True)
        return cls(
            keys=_pack(keys),
            labels=codes,
            classes=classes,
            groups=group_codes.astype(np.int64),
            group_names=group_names,
            splits=np.array([SPLITS.index(s) for s in splits or [""] * n], dtype=np.int8),
            positions=np.asarray(
                np.zeros((n, 0)) if positions is None else positions, dtype=np.float32
            ),
            remarks=tuple(remarks),
        )

    def __len__(self) -> int:
        return len(self.keys)

    def key(self, i: int) -> str:
        """Returns the name of image i."""
        return str(self.keys[i].decode(errors="surrogateescape"))

    def group_hashes(self, chosen: NDArray[np.int64] | slice = slice(None)) -> set[str]:
        """Returns a fingerprint of each group among the chosen images.

        Only these reach a run folder: a group name may be a patient's.
        """
        names = self.group_names[np.unique(self.groups[chosen])]
        return {hashlib.sha256(name).hexdigest()[:16] for name in names}


def _pack(texts: Sequence[str]) -> NDArray[np.bytes_]:
    packed = [text.encode(errors="surrogateescape") for text in texts]  # file names may be no UTF-8
    return np.array(packed or [b""], dtype=np.bytes_)[: len(texts)]


def _bulk(values: NDArray[np.float64]) -> tuple[float, float]:
    """Returns the 0.5th and 99.5th percentile of the finite values; (0, 1) if there are none."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [0.5, 99.5]) if len(finite) else (0.0, 1.0)
    return low, high if high > low else low + 1


class Dataset(ABC):
    """Images of one kind, opened lazily. Subclass it to register a format.

    Attributes:
        Config: The reader's own options.
        index: What there is; set by the subclass.
        channels: Names of the C channels; set by the subclass.
        value_range: (C, 2) physical values that map to the ends of the range of an image.
            Measured where the format does not fix it; a run keeps it for every later use.
    """

    Config: ClassVar[type[Config]] = Config
    index: Index
    channels: tuple[str, ...]

    def __init__(self, value_range: ArrayLike | None = None) -> None:
        self._value_range = None if value_range is None else np.asarray(value_range, float)

    @classmethod
    @abstractmethod
    def accepts(cls, path: Path) -> bool:
        """Tells, without reading much, whether `path` looks like something this class opens."""

    @classmethod
    @abstractmethod
    def open(
        cls,
        path: Path,
        options: Any,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> Dataset:
        """Opens a dataset.

        Args:
            path: File or folder; a demo ignores it.
            options: An instance of `Config`.
            labels: CSV with columns path, label, group, split.
            value_range: (C, 2), that of a run, or None to measure it.

        Raises:
            DataError: If there is nothing in it that can be read.
        """

    @classmethod
    def example(cls, folder: Path) -> Path | None:
        """Writes a few small files that this class opens: the rules are checked on them.

        A reader of files has one; a demo, which opens without any, needs none.

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
        for i in np.unique(np.linspace(0, len(self) - 1, images).astype(int)):
            try:
                image = self.read(int(i))
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

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> Sample:
        """Reads and scales image i."""
        image = self.read(i)
        if image.ndim != 3 or image.shape[2] != len(self.channels) or 0 in image.shape:
            raise DataError(f"its shape {image.shape} is not (H, W, {len(self.channels)})")
        index = self.index
        label = index.classes[index.labels[i]] if index.labels[i] >= 0 else ""
        group = index.group_names[index.groups[i]].decode(errors="surrogateescape")
        return Sample(
            self.scale(image), self.channels, self.value_range, index.key(i), label, group
        )

    def through(self, transform: A.BasicTransform) -> Dataset | None:
        """Returns the same data, altered before they become images; None where they are images.

        A dataset that makes pictures of signals alters the signals.

        Args:
            transform: Gets (1, T, C) float32 in [0, 1], 0.5 being zero.
        """
        return None

    def fingerprint(self) -> str:
        """Returns 16 hex digits that change when the names, sizes, labels or splits change."""
        index = self.index
        digest = hashlib.sha256()
        for part in (index.keys, index.labels, index.group_names, index.groups, index.splits):
            digest.update(part.tobytes())
        digest.update("\n".join(index.classes).encode())
        return digest.hexdigest()[:16]
