"""Opens NumPy files that hold many images: one array, or an archive of images and labels."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipInfo

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from ... import DataError, Image, Index
from ...data import (
    evenly_spaced,
    free_memory,
    refuse_large,
    understand_labels,
    without_missing,
)
from .channel_axis import COLORS, FEW
from .named_images import SPLITS

_Arrays = Mapping[str, NDArray[np.generic]]

_HASHED = 16  # images that tell a stack from others
_NAMES = {
    "images": ("images", "image", "imgs", "img", "x", "data", "arr_0"),
    "labels": ("labels", "label", "y", "targets", "target"),
    "groups": ("groups", "group"),
}
"""Names of arrays, the most probable first; the name of a part may be added (x_train)."""


class Stack:
    """Images (n, H, W[, C]) of one file; those of its parts follow each other."""

    def __init__(self, path: Path, parts: Sequence[NDArray[np.generic]]) -> None:
        self._path, self._parts = path, [*parts]
        self._starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, i: int) -> Image:
        part = int(np.searchsorted(self._starts, i, side="right")) - 1
        return np.asarray(self._parts[part][i - int(self._starts[part])])

    def __getstate__(self) -> dict[str, Any]:
        """Leaves a memory-mapped array behind, because pickling would copy it."""
        state = dict(vars(self))
        if isinstance(self._parts[0], np.memmap):
            del state["_parts"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Maps the file of an array that was left behind."""
        vars(self).update(state)
        if "_parts" not in state:
            self._parts = [np.load(self._path, mmap_mode="r", allow_pickle=False)]


class _Part(NamedTuple):
    """Names of the arrays of a part such as "train", "" for the whole; "" for an absent array."""

    name: str
    images: str
    labels: str = ""
    groups: str = ""


def open_stack(path: Path, targets: str) -> tuple[Stack, Index]:
    """Opens one file that holds all images.

    Args:
        path: A .npy, or a .npz with arrays of images, labels and groups, or of several parts.
        targets: Kind of the labels.

    Raises:
        DataError: If it cannot be read, or is not what is expected.
    """
    arrays = _arrays_of(path)
    parts = _parts_of(path, arrays)
    stacks = [arrays[part.images] for part in parts]
    for stack in stacks:
        try:
            refuse_large(stack.shape[1:], stack.dtype.itemsize)
        except DataError as error:
            raise DataError(f"An image of '{path}' {error}.") from error
    texts, of_labels = without_missing(_texts_of(path, arrays, parts, "labels"), "label", "image")
    groups, of_groups = without_missing(_texts_of(path, arrays, parts, "groups"), "group", "image")
    labels = understand_labels(texts, targets)
    index = Index.build(
        [key for part in parts for key in _keys(path, part.name, len(arrays[part.images]))],
        identities=[text for stack in stacks for text in _identities(stack)],
        labels=labels.classes,
        groups=groups,
        splits=[SPLITS.get(part.name, "") for part in parts for _ in arrays[part.images]],
        remarks=(*of_labels, *of_groups, *labels.remarks, *_unread(path, arrays, parts)),
    )
    return Stack(path, stacks), replace(
        index, targets=labels.targets, target_names=labels.names, origins=_origins(path, parts)
    )


def _arrays_of(path: Path) -> _Arrays:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, NpzFile):
            _refuse_large_archive(path, loaded)
            return dict(loaded)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"'{path}' is no NumPy file without pickled objects: {error}.") from error
    return {"images": loaded}


def _refuse_large_archive(path: Path, archive: NpzFile) -> None:
    """Refuses an archive that does not fit into half of the free memory, where it is unpacked."""
    parts: list[ZipInfo] = archive.zip.infolist() if archive.zip else []
    size = sum(part.file_size for part in parts)
    if size > free_memory() / 2:
        raise DataError(
            f"'{path}' takes {size / 2**30:.1f} GiB of memory when it is unpacked, more than half "
            "of what is free. Save the images as .npy, of which parts are read."
        )


def _parts_of(path: Path, arrays: _Arrays) -> list[_Part]:
    """Finds the arrays by their names: of the whole, else of each part.

    Raises:
        DataError: If there are no images, or if labels or groups are not as many.
    """
    found: dict[str, dict[str, str]] = {}
    roles = {array: _role_of(array) for array in arrays}
    for kind, names in _NAMES.items():
        for name in reversed(names):  # the most probable name comes last, and stays
            for array, (role, of_part) in roles.items():
                if role == name:
                    found.setdefault(of_part, {})[kind] = array
    large = [name for name, array in arrays.items() if array.ndim in (3, 4)]
    if len(large) == 1 and not any("images" in kinds for kinds in found.values()):
        found.setdefault("", {})["images"] = large[0]
    named = [_Part(name, **found[name]) for name in SPLITS if "images" in found.get(name, {})]
    parts = [_Part("", **found[""])] if "images" in found.get("", {}) else named
    if not parts or any(
        arrays[part.images].ndim not in (3, 4) or not len(arrays[part.images]) for part in parts
    ):
        expected = " called images, or train_images and test_images" * (path.suffix != ".npy")
        raise DataError(
            f"'{path}' needs an array of images (n, H, W) or (n, H, W, C){expected}; it has "
            f"{_listed(arrays)}."
        )
    for part in parts:
        _refuse_single(path, arrays, part)
        _compare_lengths(path, arrays, part)
    return parts


def _refuse_single(path: Path, arrays: _Arrays, part: _Part) -> None:
    """Refuses one picture, which would be taken for images that are as wide as it has channels."""
    shape = arrays[part.images].shape
    if len(shape) == 3 and shape[2] <= COLORS and min(shape[:2]) > FEW and not part.labels:
        written = "x".join(map(str, shape))
        raise DataError(
            f"'{path}' has the shape {written}, which is one image (H, W, C), and one file holds "
            "many: (n, H, W) or (n, H, W, C). Give the folder with all files instead."
        )


def _compare_lengths(path: Path, arrays: _Arrays, part: _Part) -> None:
    expected = len(arrays[part.images])
    for name in (part.labels, part.groups):
        count = len(np.atleast_1d(arrays[name])) if name else expected
        if count != expected:
            raise DataError(f"'{path}' has {expected} {part.images}, but {count} {name}.")


def _role_of(array: str) -> tuple[str, str]:
    """Returns what the name of an array says without the name of a part, and this name."""
    words = re.split(r"[\W_]+", array.lower())
    part = next((word for word in (words[0], words[-1]) if word in SPLITS), "")
    if part:
        words.remove(part)
    return "_".join(words), part


def _listed(arrays: _Arrays, most: int = 8) -> str:
    texts = [f"{name} {array.shape}" for name, array in [*arrays.items()][:most]]
    return ", ".join(texts) + (", ..." if len(arrays) > most else "") if texts else "no arrays"


def _unread(path: Path, arrays: _Arrays, parts: Sequence[_Part]) -> list[str]:
    """Returns what is said of arrays that are not used."""
    read = {name for part in parts for name in part[1:]}
    unread = {name: array for name, array in arrays.items() if name not in read}
    return [f"Not read of {path.name}: {_listed(unread)}."] if unread else []


def _origins(path: Path, parts: Sequence[_Part]) -> dict[str, str]:
    origins = {}
    for kind in ("label", "group"):
        names = [name for part in parts if (name := getattr(part, f"{kind}s"))]
        if names:
            plural = "s" if len(names) > 1 else ""
            origins[kind] = f"array{plural} {', '.join(names)} of {path.name}"
    if parts[0].name:
        origins["split"] = f"names of the arrays of {path.name}"
    return origins


def _keys(path: Path, part: str, count: int) -> list[str]:
    folder = f"{part}/" if part else ""
    return [f"{folder}{path.stem}[{i}]" for i in range(count)]


def _identities(images: NDArray[np.generic]) -> list[str]:
    """Returns what tells each image from those of other stacks, whatever their files are called."""
    digest = hashlib.sha256(f"{images.shape} {images.dtype}".encode())
    for i in evenly_spaced(len(images), _HASHED).tolist():
        digest.update(images[i].tobytes())
    name = digest.hexdigest()[:16]
    return [f"{name}[{i}]" for i in range(len(images))]


def _texts_of(path: Path, arrays: _Arrays, parts: Sequence[_Part], kind: str) -> list[str]:
    """Returns the labels or groups of all parts, "" for a missing one.

    Raises:
        DataError: If an array has another shape than one entry an image, or flags of classes.
    """
    texts: list[str] = []
    for part in parts:
        name = getattr(part, kind)
        if not name:
            texts += [""] * len(arrays[part.images])
            continue
        try:
            texts += _texts(np.atleast_1d(arrays[name]), are_labels=kind == "labels")
        except DataError as error:
            raise DataError(f"The array {name} of '{path}' {error}.") from error
    return texts


def _texts(values: NDArray[Any], are_labels: bool) -> list[str]:
    """Returns an array as texts; a row of 0 and 1 is the numbers of its classes, as in "0|3"."""
    if values.size == len(values):  # (n, 1), as MedMNIST and Keras have it
        return [_text(value) for value in values.ravel()]
    if are_labels and values.ndim == 2 and _are_flags(values):
        return [_classes_of(row) for row in values]
    several = " (several classes are an array (n, classes) of 0 and 1)" if are_labels else ""
    raise DataError(
        f"has the shape {values.shape} and the type {values.dtype.name}. Give it one entry an "
        f"image{several}, or another name if it is something else"
    )


def _are_flags(values: NDArray[Any]) -> bool:
    """Tells whether all values are 0, 1 or NaN; text and measurements are not."""
    if values.dtype.kind not in "biuf":
        return False
    return bool(((values == 0) | (values == 1) | (values != values)).all())


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return _text(value.decode("utf-8", "replace"))
    if value != value:  # NaN is a missing number
        return ""
    whole = isinstance(value, np.floating) and value.is_integer()
    return str(int(value) if whole else value)  # so that 1 and 1.0 of two parts are one class


def _classes_of(row: NDArray[np.generic]) -> str:
    numbers = "|".join(map(str, np.flatnonzero(row))) or "|"
    return "" if np.any(row != row) else numbers
