"""Objects annotated in images: boxes, classes and outlines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ... import DataError, Index
from .outlines import Outline

_THIN = 0.1  # pixels: a box with a side below is empty


@dataclass(frozen=True)
class Objects:
    """What is marked in one image.

    Attributes:
        boxes: (n, 4) x1, y1, x2, y2 in pixels, from the upper left corner of the image.
        labels: (n,) class numbers.
        ignored: (n,) crowds (COCO) and difficult ones (VOC): not learned, neither right nor wrong.
        areas: (n,) pixels.
        outlines: n of them, empty where there is none.
        size: Height and width of the image as the annotation has it; None if it does not say.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    areas: NDArray[np.float64]
    outlines: tuple[Outline, ...]
    size: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def of(self, rows: NDArray[np.bool_]) -> Objects:
        """Returns those in some rows, (n,)."""
        outlines = tuple(o for o, kept in zip(self.outlines, rows, strict=True) if kept)
        return replace(
            self,
            boxes=self.boxes[rows],
            labels=self.labels[rows],
            ignored=self.ignored[rows],
            areas=self.areas[rows],
            outlines=outlines,
        )

    def within(self, height: int, width: int) -> Objects:
        """Cuts boxes at the edges of the image, and leaves out those that are empty then.

        Raises:
            DataError: If the annotation is for an image of another size.
        """
        if self.size not in (None, (height, width)):
            raise DataError(f"its annotation is for {self.size} pixels, it has {(height, width)}")
        boxes = self.boxes.clip(0, [width, height, width, height])
        sides = boxes[:, 2:] - boxes[:, :2]
        return replace(self, boxes=boxes).of((sides >= _THIN).all(axis=1))


@dataclass(frozen=True)
class Located:
    """The objects of the images of a dataset.

    Attributes:
        classes: K names.
        objects: By the position of the image.
        unmatched: Number of annotated images that the dataset does not have.
    """

    classes: tuple[str, ...]
    objects: Mapping[int, Objects]
    unmatched: int

    @property
    def have_masks(self) -> bool:
        """Whether every object to be learned has an outline, and there are some."""
        outlined = [
            bool(outline)
            for objects in self.objects.values()
            for outline, ignored in zip(objects.outlines, objects.ignored, strict=True)
            if not ignored
        ]
        return bool(outlined) and all(outlined)


@dataclass(frozen=True)
class Annotations:
    """The objects of many images.

    Attributes:
        path: Where they come from.
        classes: K names.
        objects: By the name of the image.
    """

    path: Path
    classes: tuple[str, ...]
    objects: Mapping[str, Objects]

    def located(self, index: Index) -> Located:
        """Finds the images in a dataset.

        A name is the image's key or the end of one, else that of a file whose folder and ending
        may differ.

        Raises:
            DataError: If no image is found, or one by two names.
        """
        keys = [index.key(i) for i in range(len(index))]
        by_stem: dict[str, list[int]] = defaultdict(list)
        for i, key in enumerate(keys):
            by_stem[PurePosixPath(key).stem].append(i)
        found: dict[int, Objects] = {}
        for name, objects in self.objects.items():
            alike = by_stem[PurePosixPath(name).stem]
            there = [i for i in alike if f"/{keys[i]}".endswith(f"/{name}")] or alike
            if len(there) == 1 and there[0] in found:
                raise DataError(f"'{self.path}' has the image '{keys[there[0]]}' twice.")
            if len(there) == 1:
                found[there[0]] = objects
        if not found:
            raise DataError(
                f"'{self.path}' names {len(self.objects)} images (the first: "
                f"'{next(iter(self.objects))}'), and none of them is among the {len(keys)} images "
                f"of --data; the first there is '{keys[0]}'."
            )
        return Located(self.classes, found, len(self.objects) - len(found))
