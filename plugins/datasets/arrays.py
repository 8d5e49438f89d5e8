"""Images in NumPy files; never unpickled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ... import Config, DataError, Image, UnknownNameError, UsageError
from ...data import (
    FileDataset,
    evenly_spaced,
    fills_among,
    listed_fills,
    plural,
    refuse_large,
    walk,
    without_fills,
)
from .channel_axis import axis_of
from .numpy_files import Stack, open_stack

_LOOKED_AT = 64  # images that decide on the axes and the kind
_PIXELS = 4096  # of each of them
_BESIDE = (".csv", ".tsv", ".txt", ".md", ".json")  # files that may lie beside archives


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
        bool | None,
        Field(
            description="axis order of an image: (C, H, W) if true, (H, W, C) if false (default: "
            "what the shapes say)"
        ),
    ] = None


class Arrays(FileDataset):
    """Images (H, W) or (H, W, C) of any number type; complex ones are taken by magnitude.

    Either one .npy (n, H, W[, C]), memory-mapped; or one .npz with images, labels and groups, or
    with such arrays of each part (train_images, y_test), which are declared splits; or a folder
    with one image in each .npy, and labels as for an image folder: the number of channels and the
    kind of number (uint8, integers, floats) of most files count. Images (C, H, W) are told by
    their shapes, and a remark says so.
    """

    Config: ClassVar[type[StackConfig]] = ArraysConfig
    options: StackConfig
    suffixes = (".npy",)
    naming = "channels"

    def prepare(self) -> None:
        """Opens the file, or indexes the folder."""
        self._stack: Stack | None = None
        self._kind, self._fills = "", dict[float, float]()
        self._open()
        self._find_channels()
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
            self._refuse_folder_of_archives()
            super().prepare()
        else:
            if self.labels_table or self.labels.layout:
                raise UsageError(
                    f"'{self.path}' is one file, and --labels and --layout are for files in a "
                    "folder. Put arrays called labels and groups into an .npz file."
                )
            self._stack, self.index = open_stack(self.path, self.labels.targets)

    def _refuse_folder_of_archives(self) -> None:
        archives = [key for key in walk(self.path) if key.lower().endswith(".npz")]
        if archives and not super().accepts(self.path):
            raise DataError(
                f"'{self.path}' is a folder of {plural(len(archives), '.npz file')}. Choose one of "
                f"them, --data '{self.path / archives[0]}', or save each image as .npy, of which a "
                "folder is read."
            )

    def _find_channels(self) -> None:
        """Finds out whether the channels are the first axis of the images, or the last."""
        self._first, self._doubt = False, ""
        if not isinstance(self.options, ArraysConfig):
            return
        if self.options.channels_first is not None:
            self._first = self.options.channels_first
            return
        shapes = [*self._shapes()]
        axes = [axis_of(shape, len(self.options.channels)) for shape in shapes]
        count = axes.count("first")
        self._first = 2 * count > len(shapes)
        option = "data.options.channels_first"
        if self._first:
            self.index = replace(
                self.index,
                remarks=(
                    *self.index.remarks,
                    f"The axes of {count} of the {len(shapes)} arrays looked at, such as "
                    f"{_written(shapes[axes.index('first')])}, are taken for CHW, channels first; "
                    f"{option} is the option.",
                ),
            )
        elif "doubtful" in axes:
            self._doubt = (
                f"The axes of {axes.count('doubtful')} of the {len(shapes)} arrays looked at, "
                f"such as {_written(shapes[axes.index('doubtful')])}, are taken for HWC, but may "
                f"be CHW; --set {option}=true reads them as CHW, and false ends this warning."
            )

    def _shapes(self) -> Iterable[tuple[int, ...]]:
        """Yields the shapes of images that are evenly spread, of those with three axes."""
        for i in evenly_spaced(len(self), _LOOKED_AT).tolist():
            with suppress(DataError):
                shape = self._mapped(i).shape if self._stack is None else self._stack[i].shape
                if len(shape) == 3:
                    yield shape

    def warnings(self) -> Iterable[str]:
        """Returns what is doubtful about the axes of the images."""
        return (self._doubt,) if self._doubt else ()

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a NumPy file or a folder with such files."""
        if super().accepts(path):
            return True
        endings = {Path(key).suffix.lower() for key in walk(path)}
        return ".npz" in endings and endings <= {".npz", *_BESIDE}

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
        image = self._load(i) if self._stack is None else self._stack[i]
        if image.ndim == 2:
            return image[..., None]
        if image.ndim != 3:
            raise DataError(f"its shape {image.shape} is no image (H, W) or (H, W, C)")
        return image.transpose(1, 2, 0) if self._first else image

    def _load(self, i: int) -> Image:
        array = self._mapped(i)
        refuse_large(array.shape, array.dtype.itemsize)
        return np.array(array)

    def _mapped(self, i: int) -> NDArray[np.generic]:
        try:
            array: NDArray[np.generic] = np.load(self.path_of(i), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"is no NumPy array: {error}") from error
        return array


def _written(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _kind_of(image: Image) -> str:
    """Returns the kind of number: kinds have ranges that cannot be compared."""
    if image.dtype == np.uint8:
        return "uint8"
    kinds = {"b": "booleans", "i": "integers", "u": "integers", "f": "floats"}
    return kinds.get(image.dtype.kind, "complex numbers")
