"""Sets of torchvision whose arrays stay on the disk, because they take gigabytes of memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from ...data import keep_open
from .named_images import Part, numbered

_STL10 = (3, 96, 96)  # channels, columns, rows


def _stl10(kind: Any, root: Path, name: str) -> Part:
    """Opens a part of STL-10: bytes of images one after another, and labels from 1 to 10."""
    folder = root / kind.base_folder
    file = folder / f"{name}_X.bin"
    count = len(_binary(file))
    labels = np.full(count, -1, dtype=np.int64)
    if name != "unlabeled":
        labels = np.fromfile(folder / f"{name}_y.bin", np.uint8).astype(np.int64) - 1
    if len(labels) != count:
        raise ValueError(f"{name} has {count} images and {len(labels)} labels")
    names = folder / kind.class_names_file
    classes = names.read_text(encoding="utf-8").splitlines() if names.is_file() else []
    return Part(name, numbered(name, count), labels, classes, partial(_read_stl10, file))


@keep_open(3)
def _binary(path: Path) -> NDArray[np.uint8]:
    """Maps a file of STL-10 into the memory, (n, C, W, H)."""
    return np.memmap(path, np.uint8, "r").reshape(-1, *_STL10)


def _read_stl10(file: Path, i: int, key: str) -> Pillow.Image:
    return Pillow.fromarray(np.ascontiguousarray(_binary(file)[i].T))


def _pcam(kind: Any, root: Path, name: str) -> Part:
    """Opens a part of PatchCamelyon: HDF5 files of images x and labels y (n, 1, 1, 1)."""
    images, labels = (root / "pcam" / kind._FILES[name][x][0] for x in ("images", "targets"))
    numbers = np.asarray(_hdf5(labels)["y"]).ravel().astype(np.int64)
    count = len(_hdf5(images)["x"])
    if len(numbers) != count:
        raise ValueError(f"{name} has {count} images and {len(numbers)} labels")
    return Part(name, numbered(name, count), numbers, (), partial(_read_pcam, images))


@keep_open(6)
def _hdf5(path: Path) -> Any:
    """Opens an HDF5 file."""
    import h5py

    return h5py.File(path, "r")


def _read_pcam(file: Path, i: int, key: str) -> Pillow.Image:
    return Pillow.fromarray(np.asarray(_hdf5(file)["x"][i]))


ARRAYS: Mapping[str, Callable[[Any, Path, str], Part]] = {"PCAM": _pcam, "STL10": _stl10}
"""What opens a part, by the name of the set."""
