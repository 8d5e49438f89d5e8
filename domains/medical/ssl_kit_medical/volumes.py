"""Base of the readers of volumes: slices of DICOM series and of NIfTI files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from ssl_kit import Config, DataError, Image, Index, UsageError
from ssl_kit.data import FileDataset, agree, evenly_spaced, plural

from .modality import doubts_on_slices, doubts_on_window, is_like_ct

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
_RGB = ("red", "green", "blue")
_SCALINGS = ("auto", "volume", "dataset")
_NO_CLASSES = (
    "Each folder holds the images of one patient only, so that folders are not taken for classes; "
    "give --labels a table if they are."
)
_VOLUMES = 16  # of which values tell whether they are CT
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
            description="window of the values from black to white: [center, width] in units of the "
            f"file, a name for CT ({', '.join(WINDOWS)}), measured over the dataset or for each "
            "volume, or auto"
        ),
    ] = "auto"
    slices: Annotated[
        Literal[1, 3, 5, 7, 9],
        Field(description="number of adjacent slices that are the channels of an image (2.5-D)"),
    ] = 1
    channels: Annotated[
        Literal["auto", "gray", "rgb"],
        Field(description="channels of an image (auto: as most images)"),
    ] = "auto"


@dataclass(frozen=True)
class Parts:
    """The slices in the files of a dataset, in any order.

    Attributes:
        keys: (n,) names.
        file: (n,) position of the file in the index of the files.
        part: (n,) number of the frame or slice in its file.
        study: (n,) identifier of the study, int64.
        volume: (n,) identifier of the volume, int64.
        place: (n,) position of the slice in its volume, increasing.
        groups: Group of each file, "" for that of the index of the files.
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


class Volumes(FileDataset):
    """Slices, sorted by volume and position; each is read when it is needed.

    A subclass calls `_choose_channels`, `_scale_by` and `_lay_out`, in this order.
    """

    options: VolumeConfig
    _identity: ClassVar[str] = "names of files and folders"  # tells groups if none are declared

    def warnings(self) -> Iterable[str]:
        """Warns of a window of CT for other images, and of neighbors where there are none."""
        window = self.options.window
        sizes = (self._stop - self._first).tolist()
        yield from doubts_on_slices(self.options.slices, sizes)
        if window in WINDOWS and not self._rgb:
            yield from doubts_on_window(window, *self._are_ct())

    def _are_ct(self) -> tuple[Sequence[bool], bool]:
        """Tells which volumes may be CT by their values, or by their headers (then True)."""
        volumes = evenly_spaced(len(self._ends), _VOLUMES).tolist()
        return [is_like_ct(*map(float, self._ends_of(volume))) for volume in volumes], False

    def _remark(self, sentence: str) -> None:
        """Adds what was assumed or left out to the remarks of the index."""
        self.files = replace(self.files, remarks=(*self.files.remarks, sentence))

    def _choose_channels(self, color: NDArray[np.bool_]) -> None:
        """Decides between gray and RGB by what most images are.

        Args:
            color: (n,) whether each image is in color.

        Raises:
            UsageError: If options for gray images are given for color.
        """
        most, kind = color.sum() * 2 > len(color), self.options.channels
        self._rgb = bool(most) if kind == "auto" else kind == "rgb"
        count, window = self.options.slices, self.options.window
        if self._rgb and (count > 1 or window not in ("auto", "volume")):
            raise UsageError(
                "The images are in color: data.options.slices and data.options.window are for "
                "gray ones. Leave them out, or give data.options.channels gray."
            )
        self.channels = _RGB if self._rgb else slice_names(count)
        others = int((color != self._rgb).sum())
        if kind == "auto" and others:
            those, others_are = ("gray", "rgb") if self._rgb else ("in color", "gray")
            other = "gray" if self._rgb else "rgb"
            self._remark(
                f"{others} of {plural(len(color), 'image')} {agree(others, 'is', 'are')} {those} "
                "and "
                f"{agree(others, 'becomes', 'become')} {others_are} as the "
                f"others are; --set data.options.channels={other} makes all of them {other}."
            )

    def _in_channels(self, image: Image) -> Image:
        """Returns a gray or RGB image with the channels that were decided on."""
        colored = image.shape[2] == 3
        if colored and not self._rgb:
            if self._scaling == "dataset":
                raise DataError("is in color where the others have physical values")
            return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
        return np.repeat(image, 3, axis=2) if self._rgb and not colored else image

    @abstractmethod
    def values(self, i: int) -> Image:
        """Returns slice i, (H, W, C): uint8 as it is, or float32 with NaN where nothing is.

        Raises:
            DataError: If the file is damaged; the message gives the reason.
        """

    def _lay_out(self, parts: Parts) -> None:
        """Sets the index to the slices that the files hold."""
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
        files = self._grouped(parts.groups)
        if not self.declares_labels and _folders_are_groups(files.labels, files.groups):
            files = replace(
                files,
                labels=np.full_like(files.labels, -1),
                classes=(),
                remarks=(*files.remarks, _NO_CLASSES) if len(files.classes) > 1 else files.remarks,
            )
        self.index = files.expand(self._file, [parts.keys[i] for i in order.tolist()], place)

    def _grouped(self, groups: list[str]) -> Index:
        """Returns the index of the files with their declared groups, else these, else their own."""
        names = [
            self.declared_group(file) or group or self.files.group(file)
            for file, group in enumerate(groups)
        ]
        origins = {**({"group": self._identity} if any(groups) else {}), **self.files.origins}
        return self.files.expand(np.arange(len(names)), groups=names, origins=origins)

    def _scale_by(self, natural: str) -> None:
        """Decides which values become black and white.

        Args:
            natural: Meaning of "auto" for these files: "volume", "dataset", or "bytes" for 8-bit
                images. The value range of an earlier run takes precedence.
        """
        window = self.options.window
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

    def options_for(self, channels: Sequence[str]) -> Mapping[str, Any]:
        """Returns `slices` and `channels` if neighbors, gray or RGB images are asked for."""
        names = tuple(channels)
        if names == _RGB:
            return {"channels": "rgb"}
        fits = len(names) in (1, 3, 5, 7, 9) and names == slice_names(len(names))
        return {"channels": "gray", "slices": len(names)} if fits else {}

    def read(self, i: int) -> Image:
        """Returns slice i, with its neighbors as channels where that is asked for."""
        volume = self._volume[i]
        count = self.options.slices
        around = i + np.arange(count) - count // 2
        near = np.clip(around, self._first[volume], self._stop[volume] - 1)
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
        if self._scaling == "bytes":
            return np.asarray(np.rint(np.nan_to_num(unit, nan=0).clip(0, 1) * 255), np.uint8)
        return unit.clip(0, 1)  # NaN stays, and is counted where images are scaled

    def _ends_of(self, volume: int) -> tuple[np.float32, np.float32]:
        """Returns the 0.5th and 99.5th percentile of a volume, measured on a few slices, once."""
        if np.isnan(self._ends[volume, 0]):
            first, last = self._first[volume], self._stop[volume] - 1
            chosen = first + evenly_spaced(last - first + 1, _SAMPLED)
            values = [some for i in chosen.tolist() for some in self._finite(i)]
            low, high = np.percentile(np.concatenate(values), [0.5, 99.5]) if values else UNIT
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


def _folders_are_groups(labels: NDArray[np.int32], groups: NDArray[np.int64]) -> bool:
    """Tells whether every class has a group of its own: a folder per patient, which is no class."""
    pairs = np.unique(np.column_stack([labels, groups])[labels >= 0], axis=0)
    return len(pairs) > 0 and all(len(np.unique(column)) == len(pairs) for column in pairs.T)
