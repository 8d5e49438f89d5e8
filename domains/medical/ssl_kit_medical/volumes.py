"""Slices of volumes: what DICOM series and NIfTI files have in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BeforeValidator, Field

from ssl_kit import Config, DataError, Dataset, Image, Index

STUDY, VOLUME, PLACE = range(3)  # columns of Index.positions
UNIT, BYTES = (0.0, 1.0), (0.0, 255.0)
# (center, width) in Hounsfield units; https://radiopaedia.org/articles/windowing-ct
WINDOWS = {
    "abdomen": (50.0, 400.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
    "liver": (30.0, 150.0),
    "lung": (-600.0, 1500.0),
    "mediastinum": (50.0, 350.0),
}
_SCALINGS = ("auto", "volume", "dataset")
_SAMPLED = 8  # slices that the range of a volume is measured on
_PIXELS = 2**14  # of each of them


def _check_window(value: Any) -> Any:
    numbers = isinstance(value, list | tuple) and [
        v for v in value if isinstance(v, int | float) and not isinstance(v, bool)
    ]
    pair = numbers and len(numbers) == len(value) == 2 and numbers[1] > 0
    if not pair and value not in (*_SCALINGS, *WINDOWS):
        raise ValueError(f"it is {', '.join((*_SCALINGS, *WINDOWS))} or [center, width]")
    return value


class VolumeConfig(Config):
    """Options of every reader of volumes."""

    window: Annotated[
        str | tuple[float, float],
        BeforeValidator(_check_window),
        Field(
            description="values that become black and white: [center, width] in units of the file, "
            f"the name of one ({', '.join(WINDOWS)}; CT), measured over the dataset, measured for "
            "each volume, or auto"
        ),
    ] = "auto"
    slices: Annotated[
        Literal[1, 3, 5, 7, 9],
        Field(description="a slice with its neighbors as channels (2.5-D), this many in all"),
    ] = 1


@dataclass(frozen=True)
class Parts:
    """The images in the files of a dataset, in any order.

    Attributes:
        keys: (n,) names.
        file: (n,) position of the file in the index of the files.
        part: (n,) number of the frame or slice in its file.
        study: (n,) what tells studies apart, int64.
        volume: (n,) what tells volumes apart, int64.
        place: (n,) of a slice in its volume, increasing.
        groups: One per file, "" for that of the files' index.
    """

    keys: list[str]
    file: NDArray[np.int64]
    part: NDArray[np.int64]
    study: NDArray[np.int64]
    volume: NDArray[np.int64]
    place: NDArray[np.float64]
    groups: list[str]


def slice_names(count: int) -> tuple[str, ...]:
    """Returns the channel names of a slice with its neighbors."""
    half = count // 2
    if not half:
        return ("gray",)
    return tuple(f"slice{offset:+d}" if offset else "slice" for offset in range(-half, half + 1))


class Volumes(Dataset):
    """Slices, sorted by volume and place; each is read when it is needed.

    A subclass calls `_lay_out` and `_scale_by`, and sets `channels`.
    """

    def __init__(self, options: VolumeConfig, value_range: ArrayLike | None) -> None:
        super().__init__(value_range)
        self._options = options
        self._around = np.arange(options.slices) - options.slices // 2

    @abstractmethod
    def values(self, i: int) -> Image:
        """Returns slice i, (H, W, C): uint8 as it is, or float32 with NaN where nothing is.

        Raises:
            DataError: If the file is damaged; the message gives the reason.
        """

    def _lay_out(self, files: Index, parts: Parts, declared: bool) -> None:
        """Sets the index.

        Args:
            files: One entry per file.
            parts: What they hold.
            declared: Whether labels come from a table, not from the names of folders.
        """
        study, volume = _numbers(parts.study), _numbers(parts.volume)
        order = np.lexsort((np.arange(len(volume)), parts.place, volume))
        place = np.column_stack([study, volume, parts.place])[order]
        self._file = parts.file[order].astype(np.int32)
        self._part = parts.part[order].astype(np.int32)
        self._volume = volume[order]
        everyone = np.arange(len(np.unique(volume)))
        self._first = np.searchsorted(self._volume, everyone, side="left")
        self._stop = np.searchsorted(self._volume, everyone, side="right")
        self._ends = np.full((len(everyone), 2), np.nan)
        names, group = _groups(files, parts.groups)
        labels, classes = files.labels, files.classes
        if not declared and _folders_are_groups(labels, group):
            labels, classes = np.full_like(labels, -1), ()
        self.index = Index(
            keys=np.array([key.encode(errors="surrogateescape") for key in parts.keys])[order],
            labels=labels[self._file],
            classes=classes,
            groups=group[self._file],
            group_names=names,
            splits=files.splits[self._file],
            positions=place.astype(np.float32),
        )

    def _scale_by(self, natural: str) -> None:
        """Decides what becomes black and white.

        Args:
            natural: What "auto" means for these files: "volume", "dataset", or "bytes" for images
                that are 8-bit already. An encoder that is used again decides by its range.
        """
        window = self._options.window
        ends: tuple[float, float] | None = None
        if window == "auto" and self._value_range is not None:
            known = {UNIT: "volume", BYTES: "bytes"}
            window = known.get(tuple(self._value_range[0].tolist()), "dataset")
        elif window == "auto":
            window = natural
        if window == "volume":
            ends = UNIT
        elif window == "bytes":
            ends = BYTES
        elif window != "dataset":
            center, width = WINDOWS[window] if isinstance(window, str) else window
            ends, window = (center - width / 2, center + width / 2), "dataset"
        self._scaling = str(window)
        if ends and self._value_range is None:
            self._value_range = np.tile(ends, (len(self.channels), 1))

    def read(self, i: int) -> Image:
        """Returns slice i, with its neighbors as channels where that is asked for."""
        volume = self._volume[i]
        near = np.clip(i + self._around, self._first[volume], self._stop[volume] - 1)
        slices = [self._scaled(j) for j in near.tolist()]
        if len({image.shape for image in slices}) > 1:
            raise DataError("the slices beside it are of another size")
        return slices[0] if len(slices) == 1 else np.concatenate(slices, axis=2)

    def _scaled(self, i: int) -> Image:
        image = self.values(i)
        if self._scaling == "dataset":
            return image.astype(np.float32)
        if self._scaling == "bytes" and image.dtype == np.uint8:
            return image
        low, high = self._ends_of(int(self._volume[i]))
        unit: Image = (image.astype(np.float32) - low) / (high - low)
        unit = np.nan_to_num(unit, nan=0).clip(0, 1)
        return np.rint(unit * 255).astype(np.uint8) if self._scaling == "bytes" else unit

    def _ends_of(self, volume: int) -> tuple[np.float32, np.float32]:
        """Returns the 0.5th and 99.5th percentile of a volume, measured on a few slices, once."""
        if np.isnan(self._ends[volume, 0]):
            first, last = self._first[volume], self._stop[volume] - 1
            chosen = np.unique(np.linspace(first, last, _SAMPLED).astype(int))
            seen = [values for i in chosen.tolist() for values in self._finite(i)]
            low, high = np.percentile(np.concatenate(seen), [0.5, 99.5]) if seen else UNIT
            self._ends[volume] = low, high if high > low else low + 1
        low, high = self._ends[volume].astype(np.float32)
        return low, high

    def _finite(self, i: int) -> list[NDArray[np.float32]]:
        """Returns some of the finite values of a slice; nothing of one that cannot be read."""
        try:
            flat = self.values(i).astype(np.float32).ravel()
        except DataError:
            return []
        flat = flat[:: max(1, len(flat) // _PIXELS)]
        flat = flat[np.isfinite(flat)]
        return [flat] if len(flat) else []


def _numbers(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers codes from 0 in the order in which they first occur."""
    _, first, place = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[place]


def _groups(files: Index, found: list[str]) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    """Returns group names, and the group of each file: declared, else found, else its own."""
    names = []
    for i, group in enumerate(found):
        given = bytes(files.group_names[files.groups[i]])
        own = given.startswith(bytes(files.keys[i]) + b":")  # name and size: none was declared
        names.append(group.encode() if own and group else given)
    unique, codes = np.unique(np.array(names, dtype=np.bytes_), return_inverse=True)
    return unique, codes.astype(np.int64)


def _folders_are_groups(labels: NDArray[np.int32], groups: NDArray[np.int64]) -> bool:
    """Tells whether every class has one group only: a folder per patient, which is no class."""
    pairs = np.unique(np.column_stack([labels, groups])[labels >= 0], axis=0)
    return len(pairs) > 0 and len(np.unique(pairs[:, 0])) == len(pairs)
