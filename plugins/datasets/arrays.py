"""Images in NumPy files; never unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from ... import Config, DataError, Dataset, Image, Index, UsageError
from ...data import file_path, index_files


class ArraysConfig(Config):
    """Options of NumPy files."""

    channels: Annotated[
        tuple[str, ...], Field(description="names of the channels; c0, c1, ... if left out")
    ] = ()
    channels_first: Annotated[bool, Field(description="an image is (C, H, W), not (H, W, C)")] = (
        False
    )


class Arrays(Dataset):
    """Images (H, W) or (H, W, C) of any number type; complex ones are taken by magnitude.

    Either one .npy (n, H, W[, C]), memory-mapped; or one .npz with images, labels and groups; or
    a folder with one image in each .npy, and labels as for an image folder.
    """

    Config = ArraysConfig

    def __init__(
        self,
        path: Path,
        options: ArraysConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> None:
        super().__init__(value_range)
        self._root, self._first = path, options.channels_first
        self._stack: NDArray[np.generic] | None = None
        if path.is_dir():
            self.index = index_files(path, (".npy",), labels)
        else:
            self._stack, self.index = _open_stack(path)
        width = self.read(0).shape[2]
        self.channels = options.channels or tuple(f"c{c}" for c in range(width))
        if len(self.channels) != width:
            raise UsageError(f"'{path}' has {width} channels; data.options.channels names "
                             f"{len(self.channels)}.")  # fmt: skip

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a NumPy file or a folder with .npy files."""
        if path.is_dir():
            return next(path.rglob("*.npy"), None) is not None
        return path.suffix in (".npy", ".npz")

    @classmethod
    def open(
        cls,
        path: Path,
        options: ArraysConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> Arrays:
        """Opens the file or indexes the folder."""
        return cls(path, options, labels, value_range)

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes one file of float32 images with labels."""
        images = np.random.default_rng(0).normal(5, 2, (6, 24, 20, 2)).astype(np.float32)
        path = folder / "stack.npz"
        np.savez(path, images=images, labels=["a", "b"] * 3)
        return path

    def read(self, i: int) -> Image:
        """Returns image i, (H, W, C)."""
        image = self._load(i) if self._stack is None else np.asarray(self._stack[i])
        if image.ndim == 2:
            return image[..., None]
        if image.ndim != 3:
            raise DataError(f"its shape {image.shape} is no image (H, W) or (H, W, C)")
        return image.transpose(1, 2, 0) if self._first else image

    def _load(self, i: int) -> Image:
        try:
            return np.asarray(np.load(file_path(self._root, self.index.key(i)), allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"is no NumPy array: {error}") from error


def _open_stack(path: Path) -> tuple[NDArray[np.generic], Index]:
    """Opens one file that holds all images."""
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        files = {path.stem: loaded} if path.suffix == ".npy" else dict(loaded)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"'{path}' is no NumPy file without pickled objects: {error}.") from error
    images = files.pop("images") if path.suffix == ".npz" and "images" in files else None
    images = files.get(path.stem) if images is None else images
    if images is None or images.ndim not in (3, 4) or not len(images):
        raise DataError(f"'{path}' needs an array of images (n, H, W) or (n, H, W, C).")
    keys = [f"{path.stem}[{i}]" for i in range(len(images))]
    columns = {
        name: [str(value) for value in files[name]]
        for name in ("labels", "groups")
        if name in files
    }
    return images, Index.build(keys, labels=columns.get("labels"), groups=columns.get("groups"))
