"""Images of named sets: the parts of a set become one dataset with declared splits."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from ... import DataError, Image, Index, UsageError
from ...data import NamedDataset, evenly_spaced
from .image_files import GRAY_MODES, Bytes
from .image_folder import NAMES, ImageFolder, ImageFolderConfig
from .image_sizes import PILLOW_ERRORS

SPLITS = {
    **dict.fromkeys(("train", "trainval", "train-standard"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    "test": "test",
}
_LOOKED_AT = 16  # decoded images that decide on the channels


@dataclass(frozen=True)
class Part:
    """A part of a set, such as its training images.

    Attributes:
        name: What the set calls it, "" if it has no parts.
        keys: n names of images, unique in the set.
        labels: (n,) class numbers, -1 where unlabeled.
        classes: Name of each class number; () if the numbers are the names.
        read: Returns the bytes of image i as a file has them, or the decoded image; it gets i and
            the key, and can be pickled.
        encoded: Whether `read` returns bytes; all parts of a set are alike in this.
        files: Whether the keys are names of files, and not numbers.
    """

    name: str
    keys: Sequence[str]
    labels: NDArray[np.int64]
    classes: Sequence[str]
    read: Callable[[int, str], Bytes | Pillow.Image]
    encoded: bool = False
    files: bool = False

    @property
    def identities(self) -> list[str]:
        """What tells the images from those of other sets, beside the title."""
        size = "" if self.files else f" of {len(self.keys)}"
        return [f"{key}{size}" for key in self.keys]


class Found(NamedTuple):
    """The parts of a set.

    Attributes:
        parts: In the order of the images.
        groups: Group of each image, "" where it is a group of its own; None if there are none.
        remarks: What was assumed, one sentence each.
    """

    parts: Sequence[Part]
    groups: Sequence[str] | None = None
    remarks: tuple[str, ...] = ()


def numbered(name: str, count: int) -> list[str]:
    """Returns keys of images that have no names: the part and the number."""
    return [f"{name or 'image'}/{i:06d}" for i in range(count)]


def joined(title: str, found: Found) -> Index:
    """Returns the index of all parts; the parts of the set are the declared splits.

    Where no test image has a label, the validation part is the test part, as in the papers that
    report results on the set.

    Args:
        title: Name of the set, which tells its images from those of other sets.
        found: The parts.
    """
    parts = found.parts
    splits = {part.name: SPLITS.get(part.name, "train" if part.name else "") for part in parts}
    labeled = {splits[part.name] for part in parts if (part.labels >= 0).any()}
    remarks = list(found.remarks)
    if "val" in labeled and "test" not in labeled:
        splits = {name: "test" if split == "val" else split for name, split in splits.items()}
        remarks.append(f"{title} has no labeled test part; its validation part is the test part.")
    keys = [key for part in parts for key in part.keys]
    index = Index.build(
        keys,
        identities=[f"{title}/{text}" for part in parts for text in part.identities],
        groups=found.groups,
        splits=[splits[part.name] for part in parts for _ in part.keys],
        remarks=remarks,
    )
    names = sorted({name for part in parts for name in _used(part).values()})
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.concatenate([_renumbered(part, numbers) for part in parts])
    origins = {"label": f"classes of {title}"} if names else {}
    origins |= {"split": f"parts of {title}"} if any(splits.values()) else {}
    origins |= {"group": f"a column of {title}"} if found.groups else {}
    return replace(index, labels=labels, classes=tuple(names), origins=origins)


def _used(part: Part) -> dict[int, str]:
    """Returns the name of each class of which a part has images; equal names get numbers."""
    counts = Counter(part.classes)
    names = {
        number: f"{name} ({number})" if counts[name] > 1 else name
        for number, name in enumerate(part.classes)
    }
    present = np.unique(part.labels).tolist()
    return {number: names.get(number, str(number)) for number in present if number >= 0}


def _renumbered(part: Part, numbers: Mapping[str, int]) -> NDArray[np.int32]:
    """Returns the labels of a part (n,) in the numbers that all parts share, -1 where unlabeled."""
    table = np.full(part.labels.max(initial=-1) + 2, -1, dtype=np.int32)  # its last entry is for -1
    for number, name in _used(part).items():
        table[number] = numbers[name]
    return table[part.labels]


class NamedImages(NamedDataset):
    """Base of sets whose images are files, rows of a table, or decoded already."""

    Config = ImageFolderConfig
    options: ImageFolderConfig

    @abstractmethod
    def find_parts(self) -> Found:
        """Returns the parts of the set."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Name of the set in messages."""

    def prepare(self) -> None:
        """Joins the parts, and looks at some images to learn their channels."""
        if (
            self.labels_table
            or self.labels.layout
            or self.labels.targets not in ("auto", "classes")
        ):
            raise UsageError(
                f"'{self.title}' has labels and parts of its own, and --labels, --layout and "
                "data.targets are for files in a folder. Leave them out."
            )
        found = self.find_parts()
        index = joined(self.title, found)
        if not len(index):
            raise DataError(f"'{self.title}' has no images.")
        self._starts = np.cumsum([0, *(len(part.keys) for part in found.parts)])
        self._reads = [part.read for part in found.parts]
        kind: type[_Encoded | _Decoded] = _Encoded if found.parts[0].encoded else _Decoded
        self._images = kind(index, self._stored, self.options, self._value_range)
        self.index, self.channels = self._images.index, self._images.channels

    def _stored(self, i: int, key: str) -> Bytes | Pillow.Image:
        part = int(np.searchsorted(self._starts, i, side="right")) - 1
        return self._reads[part](i - int(self._starts[part]), key)

    def read(self, i: int) -> Image:
        """Returns image i, (H, W, 1) or (H, W, 3) RGB."""
        return self._images.read(i)

    def orientation(self, i: int) -> int:
        """Returns the EXIF orientation that was applied to image i, 1 to 8."""
        return self._images.orientation(i) if isinstance(self._images, _Encoded) else 1

    def options_for(self, channels: Sequence[str]) -> Mapping[str, Any]:
        """Returns `channels` if gray or RGB images are asked for."""
        kinds = {names: kind for kind, names in NAMES.items()}
        return {"channels": kinds[tuple(channels)]} if tuple(channels) in kinds else {}


class _Encoded(ImageFolder):
    """Image files whose index is known and whose bytes come from elsewhere."""

    def __init__(
        self, index: Index, stored: Callable[[int, str], Any], options: Any, value_range: Any
    ) -> None:
        self._known, self._stored = index, stored
        super().__init__(Path(), options, None, value_range)

    def find_files(self) -> Index:
        """Returns the index that is known."""
        return self._known

    def _find_pages(self) -> None:
        """Leaves each file one image."""

    def _bytes(self, i: int) -> Bytes:
        data: Bytes = self._stored(i, self.index.key(i))
        return data

    def _source(self, i: int) -> BinaryIO:
        return BytesIO(self._bytes(i).tobytes())


class _Decoded:
    """Images that a library decodes, as Pillow has them: 8 bits, gray or RGB."""

    def __init__(
        self,
        index: Index,
        stored: Callable[[int, str], Any],
        options: ImageFolderConfig,
        value_range: Any,
    ) -> None:
        self.index, self._stored = index, stored
        chosen = options.channels
        if chosen == "auto":
            looked_at = evenly_spaced(len(index), _LOOKED_AT).tolist()
            grays = sum(self._picture(i).mode in GRAY_MODES for i in looked_at)
            chosen = "gray" if 2 * grays > len(looked_at) else "rgb"
        self.channels = NAMES[chosen]
        self._mode = "L" if chosen == "gray" else "RGB"

    def _picture(self, i: int) -> Pillow.Image:
        try:
            picture: Pillow.Image = self._stored(i, self.index.key(i))
            picture.load()  # which closes the file
        except PILLOW_ERRORS as error:
            raise DataError(f"cannot be decoded: {str(error).rstrip('.')}") from error
        return picture

    def read(self, i: int) -> Image:
        image = np.asarray(self._picture(i).convert(self._mode))
        return image[..., None] if image.ndim == 2 else image


def read_file(path: Path) -> Bytes:
    """Returns the bytes of a file.

    Raises:
        DataError: If it cannot be opened.
    """
    try:
        return np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(f"cannot be opened: {error.strerror or error}") from error


def write_examples(folder: Path, count: int = 4) -> None:
    """Writes small JPEG files into a folder, for the conformance rules."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(folder.name))
    for i in range(count):
        cv2.imwrite(str(folder / f"{folder.name}_{i}.jpg"), rng.integers(0, 255, (24, 20, 3)))
