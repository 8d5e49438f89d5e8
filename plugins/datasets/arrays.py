"""Images in NumPy files; never unpickled."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar
from zipfile import ZipInfo

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray
from pydantic import Field

from ... import Config, DataError, Image, Index, UnknownNameError, UsageError
from ...data import (
    FileDataset,
    evenly_spaced,
    fills_among,
    free_memory,
    listed_fills,
    refuse_large,
    understand_labels,
    without_fills,
    without_missing,
)

_LOOKED_AT = 64  # images that decide on the kind
_PIXELS = 4096  # of each of them
_HASHED = 16  # images that tell a stack from others


class StackConfig(Config):
    """Options of all arrays of images."""

    channels: Annotated[
        tuple[str, ...], Field(description="names of the channels (default: c0, c1, ...)")
    ] = ()
    select: Annotated[
        tuple[str, ...],
        Field(description="names of the channels to use, in this order (default: all)"),
    ] = ()
    guess_nodata: Annotated[
        bool,
        Field(description="search for frequent values far from all others, which become NaN"),
    ] = True


class ArraysConfig(StackConfig):
    """Options of NumPy files."""

    channels_first: Annotated[
        bool, Field(description="axis order of an image: (C, H, W) if true, else (H, W, C)")
    ] = False


class Arrays(FileDataset):
    """Images (H, W) or (H, W, C) of any number type; complex ones are taken by magnitude.

    Either one .npy (n, H, W[, C]), memory-mapped; or one .npz with images, labels and groups; or
    a folder with one image in each .npy, and labels as for an image folder: the number of channels
    and the kind of number (uint8, integers, floats) of most files count.
    """

    Config: ClassVar[type[StackConfig]] = ArraysConfig
    options: StackConfig
    suffixes = (".npy",)
    naming = "channels"

    def prepare(self) -> None:
        """Opens the file, or indexes the folder."""
        self._stack: NDArray[np.generic] | None = None
        self._kind, self._fills = "", dict[float, float]()
        self._open()
        width, names = self._look(), self.options.channels
        self.channels = names or tuple(f"c{c}" for c in range(width))
        if len(self.channels) != width:
            raise UsageError(
                f"'{self.path}' has {width} channels, but data.options.channels names "
                f"{len(names)}: {', '.join(names)}. Name all {width} by "
                "--set 'data.options.channels=[...]'."
            )
        self._select()

    def _select(self) -> None:
        """Selects the channels that the user chose."""
        names, chosen = self.channels, tuple(dict.fromkeys(self.options.select))
        self._width = len(names)
        for name in chosen:
            if name not in names:
                raise UnknownNameError("channel", name, names)
        self.channels = chosen or names
        self._selected = [names.index(name) for name in chosen]

    def options_for(self, channels: Sequence[str]) -> Mapping[str, Any]:
        """Returns `select` if there are these channels, `channels` if these have no names."""
        if set(channels) <= set(self.channels):
            return {"select": channels}
        nameless = not (self.options.channels or self.options.select)
        return {"channels": channels} if nameless and len(channels) == len(self.channels) else {}

    def _open(self) -> None:
        if self.path.is_dir():
            super().prepare()
        else:
            if self.labels_table or self.labels.layout:
                raise UsageError(
                    f"'{self.path}' is one file, and --labels and --layout are for files in a "
                    "folder. Put arrays called labels and groups into an .npz file."
                )
            self._stack, self.index = _open_stack(self.path, self.labels.targets)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves a memory-mapped stack behind, because pickling would copy it."""
        state = dict(vars(self))
        if isinstance(self._stack, np.memmap):
            del state["_stack"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Maps the file of a stack that was left behind."""
        vars(self).update(state)
        if "_stack" not in state:
            self._stack = np.load(self.path, mmap_mode="r", allow_pickle=False)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a NumPy file or a folder with .npy files."""
        return path.suffix == ".npz" or super().accepts(path)

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes one file of float32 images with labels."""
        images = np.random.default_rng(0).normal(5, 2, (6, 24, 20, 2)).astype(np.float32)
        path = folder / "stack.npz"
        np.savez(path, images=images, labels=["a", "b"] * 3)
        return path

    def _look(self) -> int:
        """Looks at images that are evenly spread, and returns the number of their channels."""
        images = self._sample()
        if not images:
            raise DataError(f"None of the arrays in '{self.path}' can be used; {self._reason()}.")
        counts = Counter((_kind_of(image), image.shape[2]) for image in images)
        (self._kind, width), most = counts.most_common(1)[0]
        alike = [i for i in images if (_kind_of(i), i.shape[2]) == (self._kind, width)]
        remarks = []
        if most < len(images):
            remarks.append(
                f"{len(images) - most} of the {len(images)} arrays looked at are not {width} "
                f"channels of {self._kind} like most; they count as unreadable."
            )
        if self.options.guess_nodata and self._kind in ("integers", "floats"):
            self._fills = fills_among(alike)
            remarks += [listed_fills(self._fills)] if self._fills else []
        self.index = replace(self.index, remarks=(*self.index.remarks, *remarks))
        return int(width)

    def _reason(self) -> str:
        try:
            self._image(0)
        except DataError as error:
            return f"'{self.index.key(0)}' {error}"
        return "they are empty"

    def _sample(self) -> list[Image]:
        """Returns some pixels, (1, n, C), of images that are evenly spread."""
        images = []
        for i in evenly_spaced(len(self), _LOOKED_AT).tolist():
            try:
                image = self._image(i)
            except DataError:
                continue
            flat = image.reshape(1, image.shape[0] * image.shape[1], image.shape[2])
            images.append(flat[:, :: max(1, flat.shape[1] // _PIXELS)].copy())  # else all is kept
        return images

    def read(self, i: int) -> Image:
        """Returns image i, (H, W, C), NaN where a value means missing data."""
        image = self._image(i)
        if self._kind not in ("", _kind_of(image)):
            raise DataError(f"holds {image.dtype.name} where most files hold {self._kind}")
        if self._selected:
            if image.shape[2] != self._width:
                raise DataError(f"its shape {image.shape} is not (H, W, {self._width})")
            image = image[..., self._selected]
        return without_fills(image, self._fills)

    def _image(self, i: int) -> Image:
        image = self._load(i) if self._stack is None else np.asarray(self._stack[i])
        if image.ndim == 2:
            return image[..., None]
        if image.ndim != 3:
            raise DataError(f"its shape {image.shape} is no image (H, W) or (H, W, C)")
        first = isinstance(self.options, ArraysConfig) and self.options.channels_first
        return image.transpose(1, 2, 0) if first else image

    def _load(self, i: int) -> Image:
        try:
            array = np.load(self.path_of(i), mmap_mode="r", allow_pickle=False)
            refuse_large(array.shape, array.dtype.itemsize)
            return np.array(array)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"is no NumPy array: {error}") from error


def _kind_of(image: Image) -> str:
    """Returns the kind of number: kinds have ranges that cannot be compared."""
    if image.dtype == np.uint8:
        return "uint8"
    kinds = {"b": "booleans", "i": "integers", "u": "integers", "f": "floats"}
    return kinds.get(image.dtype.kind, "complex numbers")


def _open_stack(path: Path, targets: str) -> tuple[NDArray[np.generic], Index]:
    """Opens one file that holds all images; `targets` is the kind of its labels."""
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, NpzFile):
            _refuse_large_archive(path, loaded)
        files = {path.stem: loaded} if path.suffix == ".npy" else dict(loaded)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"'{path}' is no NumPy file without pickled objects: {error}.") from error
    images = files.pop("images") if path.suffix == ".npz" and "images" in files else None
    images = files.get(path.stem) if images is None else images
    if images is None or images.ndim not in (3, 4) or not len(images):
        raise DataError(f"'{path}' needs an array of images (n, H, W) or (n, H, W, C).")
    try:
        refuse_large(images.shape[1:], images.dtype.itemsize)
    except DataError as error:
        raise DataError(f"An image of '{path}' {error}.") from error
    keys = [f"{path.stem}[{i}]" for i in range(len(images))]
    given = {name: files[name] for name in ("labels", "groups") if name in files}
    wrong = [name for name, values in given.items() if len(values) != len(images)]
    if wrong:
        count = len(given[wrong[0]])
        raise DataError(f"'{path}' has {len(images)} images, but {count} {wrong[0]}.")
    texts, remarks = _texts(given.get("labels", [""] * len(images)), "label")
    groups, of_groups = _texts(given.get("groups", [""] * len(images)), "group")
    labels = understand_labels(texts, targets)
    index = Index.build(
        keys,
        identities=_identities(images),
        labels=labels.classes,
        groups=groups,
        remarks=[*remarks, *of_groups, *labels.remarks],
    )
    origins = {name[:-1]: f"array {name} of {path.name}" for name in given}
    return images, replace(
        index, targets=labels.targets, target_names=labels.names, origins=origins
    )


def _identities(images: NDArray[np.generic]) -> list[str]:
    """Returns what tells each image from those of other stacks, whatever their files are called."""
    digest = hashlib.sha256(f"{images.shape} {images.dtype}".encode())
    for i in evenly_spaced(len(images), _HASHED).tolist():
        digest.update(images[i].tobytes())
    name = digest.hexdigest()[:16]
    return [f"{name}[{i}]" for i in range(len(images))]


def _texts(values: Iterable[Any], kind: str) -> tuple[list[str], list[str]]:
    """Returns labels or groups as texts, "" for a missing one, and remarks on missing ones.

    A row of 0 and 1 is the numbers of its classes, as in "0|3".
    """
    texts = [_classes_of(value) if np.ndim(value) else _text(value) for value in values]
    return without_missing(texts, kind, "image")


def _text(value: Any) -> str:
    return "" if value != value else str(value)  # NaN is a missing number


def _classes_of(row: NDArray[np.generic]) -> str:
    numbers = "|".join(map(str, np.flatnonzero(row))) or "|"
    return "" if np.any(row != row) else numbers


def _refuse_large_archive(path: Path, archive: NpzFile) -> None:
    """Refuses an archive that does not fit into half of the free memory, where it is unpacked."""
    parts: list[ZipInfo] = archive.zip.infolist() if archive.zip else []
    size = sum(part.file_size for part in parts)
    if size > free_memory() / 2:
        raise DataError(
            f"'{path}' takes {size / 2**30:.1f} GiB of memory when it is unpacked, more than half "
            "of what is free. Save the images as .npy, of which parts are read."
        )
