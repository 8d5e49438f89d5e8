"""Objects annotated in images: boxes, classes and outlines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ... import DataError, Index
from .outlines import Outline

_MIN_SIDE = 0.1  # pixels; a box with a shorter side is empty


@dataclass(frozen=True)
class Objects:
    """The annotated objects of one image.

    Attributes:
        boxes: (n, 4) x1, y1, x2, y2 in pixels, from the upper left corner of the image.
        labels: (n,) class numbers.
        ignored: (n,) crowds (COCO) and difficult objects (VOC), which are neither learned nor
            counted in the test.
        areas: (n,) areas in pixels.
        outlines: n outlines; empty where an object has none.
        size: Height and width of the image according to the annotation; None if it has neither.
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
        """Returns the objects that a mask (n,) selects."""
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
        """Clips boxes to the image, and leaves out the boxes that are empty then.

        Raises:
            DataError: If the annotation is for an image of another size.
        """
        if self.size not in (None, (height, width)):
            raise DataError(f"its annotation is for {self.size} pixels, it has {(height, width)}")
        boxes = self.boxes.clip(0, [width, height, width, height])
        sides = boxes[:, 2:] - boxes[:, :2]
        return replace(self, boxes=boxes).of((sides >= _MIN_SIDE).all(axis=1))


@dataclass(frozen=True)
class Located:
    """The objects of the images of a dataset.

    Attributes:
        classes: Names of the K classes.
        objects: Objects by the position of the image in the dataset.
        unmatched: Number of annotated images that are not in the dataset.
        turned: EXIF orientation of the images that are to be turned back to their stored pixels.
        remarks: What was assumed, one sentence each.
    """

    classes: tuple[str, ...]
    objects: Mapping[int, Objects]
    unmatched: int
    turned: Mapping[int, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def have_masks(self) -> bool:
        """Returns whether all objects that are not ignored have outlines."""
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
        path: File or folder of the annotations.
        classes: Names of the K classes.
        objects: Objects by the name of the image.
    """

    path: Path
    classes: tuple[str, ...]
    objects: Mapping[str, Objects]

    def located(self, index: Index) -> Located:
        """Finds the annotated images in a dataset.

        A name matches the key of an image or the end of the key; otherwise it matches a file of
        the same name whose folder and extension differ.

        Raises:
            DataError: If no image is found, or two names match the same image.
        """
        keys = [index.key(i) for i in range(len(index))]
        by_stem: dict[str, list[int]] = defaultdict(list)
        for i, key in enumerate(keys):
            by_stem[PurePosixPath(key).stem].append(i)
        located: dict[int, Objects] = {}
        for name, objects in self.objects.items():
            same_stem = by_stem[PurePosixPath(name).stem]
            matches = [i for i in same_stem if f"/{keys[i]}".endswith(f"/{name}")] or same_stem
            if len(matches) == 1 and matches[0] in located:
                raise DataError(f"'{self.path}' has the image '{keys[matches[0]]}' twice.")
            if len(matches) == 1:
                located[matches[0]] = objects
        if not located:
            raise DataError(
                f"'{self.path}' names {len(self.objects)} images (the first: "
                f"'{next(iter(self.objects))}'), and none of them is among the {len(keys)} images "
                f"of --data; their first is '{keys[0]}'."
            )
        return Located(self.classes, located, len(self.objects) - len(located))
