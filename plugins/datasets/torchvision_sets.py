"""Opens the sets of torchvision, without decoding images."""

from __future__ import annotations

import difflib
import inspect
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torchvision.datasets as sets
from numpy.typing import NDArray
from PIL import Image as Pillow

from ... import DataError, UnknownNameError, UsageError
from .image_files import Bytes
from .named_images import Part, numbered, read_file
from .torchvision_arrays import ARRAYS

_NO_CLASSES = {
    *("VisionDataset", "ImageFolder", "DatasetFolder", "FakeData"),  # no sets
    *("CelebA", "Cityscapes", "Kitti", "LFWPairs", "LSUN", "LSUNClass", "MovingMNIST", "SBDataset"),
    *("SBU", "VOCDetection", "VOCSegmentation", "WIDERFace"),
}
"""Sets without one class an image, which no signature tells; those of flow and stereo are in
modules of their own."""
_OURS = {
    *("root", "transform", "target_transform", "transforms", "loader", "download", "train"),
    *("what", "compat", "allow_empty", "is_valid_file"),
}
"""Arguments that this reader gives, or that make no images of one class."""
_PARTS = (("train", "trainval", "train-standard"), ("val", "valid"), ("test",), ("unlabeled",))
_NEEDED = {
    "Caltech101": ("caltech101",),
    "Caltech256": ("caltech256",),
    "ImageNet": ("meta.bin", "{part}"),
}
"""Files below the root without which a class of torchvision would write there."""
_LABELS = ("targets", "labels", "_labels", "y")
_CLASSES = ("classes", "categories", "class_to_idx", "all_categories")
_ERRORS = (
    *(
        DataError,
        RuntimeError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AssertionError,
        EOFError,
    ),
    *(ImportError, NotImplementedError),
)


@cache
def names() -> tuple[str, ...]:
    """Returns the names of all sets of torchvision that hold images with one class each."""
    return tuple(sorted(name for name in sets.__all__ if _holds_classes(getattr(sets, name))))


def _holds_classes(kind: Any) -> bool:
    if not inspect.isclass(kind) or kind.__module__.rpartition(".")[2].startswith("_"):
        return False
    options = _options_of(kind)
    needed = {name for name, option in options.items() if option.default is option.empty}
    return "root" in options and needed <= {"root", "split"} and kind.__name__ not in _NO_CLASSES


def set_class(name: str) -> Any:
    """Returns the class of a set.

    Raises:
        UsageError: If torchvision has no set of that name with one class an image.
    """
    if name in names():
        return getattr(sets, name)
    lower = {known.lower(): known for known in names()}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    hint = f" Did you mean 'torchvision:{lower[near[0]]}'?" if near else ""
    raise UsageError(
        f"torchvision has no set '{name}' of images with one class each.{hint} It has "
        f"{', '.join(names())}."
    )


def _options_of(kind: type) -> dict[str, inspect.Parameter]:
    """Returns the parameters of a class, those that it hands on to its base included."""
    options: dict[str, inspect.Parameter] = {}
    for each in kind.__mro__:
        if "__init__" not in vars(each):
            continue
        parameters = list(inspect.signature(each).parameters.values())
        various = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        options = {p.name: p for p in parameters if p.kind not in various} | options
        if all(p.kind not in various for p in parameters):
            break
    return options


def open_parts(
    kind: Any, root: Path, arguments: Mapping[str, Any], splits: Sequence[str], download: bool
) -> list[Part]:
    """Opens the parts of a set.

    Args:
        kind: Class of torchvision.
        root: Its argument.
        arguments: Further arguments of the class.
        splits: Names of the parts; () for train, val, test and unlabeled, as far as there are any.
        download: Whether torchvision may download and unpack.

    Raises:
        UsageError: If a part or an argument does not exist.
        DataError: If the folder does not hold the whole set.
    """
    title, known = kind.__name__, _arguments_of(kind)
    for name in arguments:
        if name not in known:
            raise UnknownNameError(f"argument of {title}", name, known)
    if "split" in known and "split" not in arguments:
        values = ", ".join(_values_of_split(kind, root, arguments))
        raise UsageError(
            f"{title} is several sets: {values}. Choose one by --set "
            "data.options.arguments.split=NAME."
        )
    variants = _variants(kind, root, arguments)
    for name in splits:
        if name not in variants:
            raise UnknownNameError(f"part of {title}", name, variants)
    usual = [next((n for n in same if n in variants), "") for same in _PARTS]
    chosen = splits or [name for name in usual if name] or list(variants)
    return [_part(kind, root, name, {**arguments, **variants[name]}, download) for name in chosen]


def _arguments_of(kind: Any) -> set[str]:
    """Returns the arguments of a class that the user may choose; `split` where it is no part."""
    options = set(_options_of(kind))
    if kind.__name__ in ARRAYS:
        return set()
    return options - _OURS - (set() if "train" in options else {"split"})


def _variants(kind: Any, root: Path, arguments: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the arguments of each part of a set, by the name of the part."""
    options = _options_of(kind)
    if "train" in options:
        return {"train": {"train": True}, "test": {"train": False}}
    if "split" not in options:
        return {"": {}}
    values = _values_of_split(kind, root, arguments)
    return {name: {"split": name} for name in values if "+" not in name}


def _values_of_split(kind: Any, root: Path, arguments: Mapping[str, Any]) -> list[str]:
    """Returns the values of the argument split, which a class checks before it reads anything."""
    try:
        kind(str(root), split="?", **arguments)
    except ValueError as error:
        return re.findall(r"'([^']+)'", str(error).partition("Valid values")[2])
    except ImportError as error:
        raise DataError(f"{kind.__name__} needs another package: {error}.") from error
    except RuntimeError as error:  # of a package that is not installed
        raise DataError(f"{kind.__name__} cannot be opened by torchvision: {error}.") from error
    return []


def _part(kind: Any, root: Path, name: str, arguments: Mapping[str, Any], download: bool) -> Part:
    """Opens a part from its arrays on disk, or by the class of torchvision.

    Raises:
        DataError: If it cannot be read.
    """
    title = kind.__name__
    try:
        needed = [text.format(part=name) for text in _NEEDED.get(title, ())]
        lacking = [text for text in needed if not (root / text).exists()]
        if lacking and not download:
            raise FileNotFoundError(f"there is no '{lacking[0]}'")
        if title in ARRAYS:
            return _of_arrays(kind, root, name, arguments, download)
        return _of_images(kind, root, name, _opened(kind, root, arguments, download))
    except _ERRORS as error:
        text = " ".join(str(error).split()).partition(" You can use download")[0].rstrip(".")
        advice = (
            "Download it on another computer and give its folder as data.options.root."
            if download
            else "Give the folder that holds the whole set as data.options.root, or say --download."
        )
        part = f"the part {name} of {title}" if name else title
        raise DataError(
            f"torchvision cannot read {part} in '{root}': {text or type(error).__name__}. {advice}"
        ) from error


def _of_arrays(
    kind: Any, root: Path, name: str, arguments: Mapping[str, Any], download: bool
) -> Part:
    try:
        return ARRAYS[kind.__name__](kind, root, name)
    except _ERRORS:
        if not download:
            raise
    _opened(kind, root, arguments, download)
    return ARRAYS[kind.__name__](kind, root, name)


def _of_images(kind: Any, root: Path, name: str, images: Any) -> Part:
    classes = _classes_of(images)
    if "loader" not in _options_of(kind):
        labels, keys = _numbers(_labels_of(images)), numbered(name, len(images))
        return Part(name, keys, labels, classes, partial(_picture, images))
    pairs = [images[i] for i in range(len(images))]
    inside = os.path.join(root, "")
    keys = [os.fspath(path).removeprefix(inside).replace(os.sep, "/") for path, _ in pairs]
    labels = _numbers([label for _, label in pairs])
    return Part(name, keys, labels, classes, partial(_file, root), encoded=True, files=True)


def _opened(kind: Any, root: Path, arguments: Mapping[str, Any], download: bool) -> Any:
    """Creates the class; what is there already is not downloaded."""
    options = _options_of(kind)
    given = {**arguments} | ({"loader": os.fspath} if "loader" in options else {})
    if "download" not in options:
        return kind(str(root), **given)
    try:
        return kind(str(root), **given, download=False)
    except _ERRORS:
        if not download:
            raise
    return kind(str(root), **given, download=True)


def _file(root: Path, i: int, key: str) -> Bytes:
    return read_file(root / key)


def _picture(images: Any, i: int, key: str) -> Pillow.Image:
    picture: Pillow.Image = images[i][0]
    return picture


def _numbers(labels: Sequence[Any]) -> NDArray[np.int64]:
    """Returns class numbers, -1 where a label is missing."""
    return np.array([-1 if label is None else int(label) for label in labels], dtype=np.int64)


def _labels_of(images: Any) -> Sequence[Any]:
    """Returns the labels of a set that keeps them in a list; else its images are decoded."""
    for name in _LABELS:
        labels = getattr(images, name, None)
        if labels is not None and np.shape(labels) == (len(images),):
            return list(labels)
    samples = getattr(images, "_samples", None)
    if samples:
        return [label for _, label in samples]
    return [images[i][1] for i in range(len(images))]


def _classes_of(images: Any) -> list[str]:
    """Returns the name of each class number; synonyms are joined by commas."""
    for name in _CLASSES:
        classes = getattr(images, name, None)
        if isinstance(classes, dict):
            classes = sorted(classes, key=classes.__getitem__)
        if classes:
            return [c if isinstance(c, str) else ", ".join(c) for c in classes]
    return []
