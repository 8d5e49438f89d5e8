"""Images in MATLAB files: pictures, cubes of many channels, and stacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from ... import DataError, Image
from ...data import (
    FileDataset,
    MatFile,
    keep_open,
    parents_of,
    read_matlab,
    shape_of,
    understand_labels,
)
from .arrays import Arrays, StackConfig
from .channel_axis import axis_of

_LABELS = ("labels", "label", "y", "targets", "target")
_COLORS = (1, 3, 4)  # channels of a picture


def _axes(text: str) -> str:
    plain = text.upper()
    if plain and (not set("HW") <= set(plain) <= set("NHWC") or len(set(plain)) < len(plain)):
        raise ValueError("it has H and W, and may have N and C, each once, such as HWCN")
    return plain


class MatlabConfig(StackConfig):
    """Options of MATLAB files."""

    variable: Annotated[
        str, Field(description="name of the array; '' is the only one that a file has")
    ] = ""
    axes: Annotated[
        str,
        AfterValidator(_axes),
        Field(description="axes in MATLAB's order: N images, H rows, W columns, C channels"),
    ] = ""


@dataclass(frozen=True)
class _Facts:
    """What is kept of each file: a label for each image, and how its axes were understood."""

    labels: list[str]
    remark: str


@dataclass(frozen=True)
class _Stack:
    """What one file holds: images (N, H, W, C) and facts on them."""

    images: NDArray[Any]
    facts: _Facts


class Matlab(Arrays):
    """Arrays (H, W), (H, W, C) or stacks of them in .mat files; 7.3 needs h5py.

    An array with an axis N is several images of one group. Labels come from folders or labels.csv,
    else from a variable called labels with one entry for each image.
    """

    Config = MatlabConfig
    options: MatlabConfig
    suffixes = (".mat",)

    def _open(self) -> None:
        """Indexes the images of all files."""
        FileDataset.prepare(self)
        facts = self.inspect(lambda file: self._loaded(file).facts)  # without the pixels
        labels = [facts[file].labels if file in facts else [""] for file in range(len(self.files))]
        counts = [len(each) for each in labels]
        self._place = [(file, k) for file, count in enumerate(counts) for k in range(count)]
        keys = [self.files.key(file) + f"[{k}]" * (counts[file] > 1) for file, k in self._place]
        inside = [label for each in labels for label in each]
        parents = parents_of(labels)
        if self.declares_labels or (self.files.labels >= 0).any() or not any(inside):
            self.index = self.files.expand(parents, keys)
        else:
            known = understand_labels(inside, self.labels.targets)
            index = self.files.expand(parents, keys, labels=known.classes)
            origins = {**index.origins, "label": "a variable of each file"}
            self.index = replace(
                index,
                targets=known.targets,
                target_names=known.names,
                origins=origins,
                remarks=(*index.remarks, *known.remarks),
            )
        remarks = Counter(each.remark for each in facts.values() if each.remark)
        listed = [f"In {n} of {len(counts)} files {remark}." for remark, n in remarks.items()]
        self.index = replace(self.index, remarks=(*self.index.remarks, *listed))

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a .mat file or a folder with such files."""
        return super(Arrays, cls).accepts(path)

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes one file of float32 images with labels."""
        from scipy.io import savemat

        images = np.random.default_rng(0).normal(5, 2, (24, 20, 2, 6)).astype(np.float32)
        savemat(folder / "stack.mat", {"images": images, "labels": ["a", "b"] * 3})
        return folder

    def _loaded(self, file: int) -> _Stack:
        return _stack_of(self.path_of(file), self.options.variable, self.options.axes)

    def _image(self, i: int) -> Image:
        file, number = self._place[i]
        self.refuse_faulty(file)
        return np.asarray(self._loaded(file).images[number])


@keep_open(2)
def _stack_of(path: Path, variable: str, axes: str) -> _Stack:
    """Reads the images of a file.

    Raises:
        DataError: If it cannot be read, or if it is not clear which array is meant.
    """
    content = read_matlab(path)
    array = content.arrays[content.choose(variable)]
    labels = _labels_of(content)
    order = axes or _guessed(array.shape, len(labels))
    if len(order) != array.ndim:
        raise DataError(
            f"has an array {shape_of(array)}, which does not fit data.options.axes={order}"
        )
    letters = [letter for letter in "NHWC" if letter in order]
    images = array.transpose([order.index(letter) for letter in letters])
    images = images if "N" in order else images[None]
    images = images if "C" in order else images[..., None]
    if images.dtype.kind == "b":
        images = images.astype(np.uint8)
    remark = f"the axes of {shape_of(array)} are taken for {order}; data.options.axes is the option"
    fitting = labels if len(labels) == len(images) and "N" in order else [""] * len(images)
    return _Stack(images, _Facts(fitting, "" if axes or array.ndim == 2 else remark))


def _guessed(shape: Sequence[int], labels: int) -> str:
    """Returns the probable axes: MATLAB has the images of a stack last."""
    if len(shape) == 2:
        return "HW"
    if len(shape) == 3:
        if labels in (shape[2], shape[0]):
            return "HWN" if labels == shape[2] else "NHW"
        return "CHW" if axis_of(shape) == "first" else "HWC"
    if labels == shape[3]:
        return "HWCN"
    square = shape[2] == shape[3] and axis_of(shape[1:]) == "first"  # Python wrote N, C, H, W
    if square and shape[0] != shape[1]:
        return "NCHW"
    return "NHWC" if shape[3] in _COLORS and shape[2] not in _COLORS else "HWCN"


def _labels_of(content: MatFile) -> list[str]:
    names = {name.lower(): name for name in (*content.texts, *content.arrays)}
    name = next((names[each] for each in _LABELS if each in names), "")
    if name in content.texts:
        return content.texts[name]
    values = content.arrays[name].ravel().tolist() if name else []
    return [f"{value:g}" if value == value else "" for value in values]
