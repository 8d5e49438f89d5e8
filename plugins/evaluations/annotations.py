"""Objects marked in images: readers of COCO's JSON and Pascal VOC's XML.

COCO: https://cocodataset.org/#format-data. VOC: Everingham et al. 2010,
https://doi.org/10.1007/s11263-009-0275-4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from ssl_kit import DataError, Index, UsageError

from .outlines import Outline

_THIN = 0.1  # pixels: a box with a side below is empty
_XML_BYTES = 2**24  # of one image's annotation, at most


@dataclass(frozen=True)
class Objects:
    """What is marked in one image.

    Attributes:
        boxes: (n, 4) x1, y1, x2, y2 in pixels, from the upper left corner of the image.
        labels: (n,) class numbers.
        ignored: (n,) crowds (COCO) and difficult ones (VOC): not learnt, neither right nor wrong.
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

    @property
    def have_masks(self) -> bool:
        """Whether every object to be learnt has an outline, and there are some."""
        outlined = [
            bool(outline)
            for objects in self.objects.values()
            for outline, ignored in zip(objects.outlines, objects.ignored, strict=True)
            if not ignored
        ]
        return bool(outlined) and all(outlined)

    def located(self, index: Index) -> dict[int, Objects]:
        """Finds the images: objects by position in a dataset.

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
            example = next(iter(self.objects), "none")
            raise DataError(
                f"'{self.path}' names {len(self.objects)} images (the first: '{example}'), and "
                f"none of them is among the {len(keys)} images of --data; the first there is "
                f"'{keys[0]}'."
            )
        return found


def read_annotations(path: Path) -> Annotations:
    """Reads a JSON file of COCO's, or all XML files of VOC's in a folder.

    Raises:
        UsageError: If there is no such file or folder.
        DataError: If a file is damaged, or nothing is in it.
    """
    if path.is_dir():
        return _read_voc(path)
    if not path.is_file():
        raise UsageError(
            f"The annotations '{path}' do not exist. Give detection.annotations a JSON file of "
            "COCO's form, or a folder of Pascal VOC's XML files."
        )
    return _read_coco(path)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"'{file}' cannot be read: {error.strerror}.") from error


class _Part(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)


class _Category(_Part):
    id: int
    name: str


class _Image(_Part):
    id: int | str
    file_name: str
    height: int | None = None
    width: int | None = None


class _Object(_Part):
    image_id: int | str
    category_id: int
    bbox: tuple[float, float, float, float]
    segmentation: Outline = []
    area: float | None = None
    iscrowd: bool = False

    def box(self) -> list[float]:
        x, y, width, height = self.bbox
        return [x, y, x + width, y + height]


class _Coco(_Part):
    images: list[_Image]
    annotations: list[_Object]
    categories: list[_Category]


def _read_coco(file: Path) -> Annotations:
    try:
        found = _Coco.model_validate_json(_bytes(file))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise DataError(
            f"'{file}' is no JSON file of COCO's form: {where}: {first['msg']}."
        ) from error
    numbers = {c.id: k for k, c in enumerate(sorted(found.categories, key=lambda c: c.id))}
    images = {image.id for image in found.images}
    by_image: dict[int | str, list[_Object]] = defaultdict(list)
    for one in found.annotations:
        if one.category_id not in numbers or one.image_id not in images:
            raise DataError(
                f"'{file}' has an object of image {one.image_id} and category {one.category_id}; "
                "not both of them are listed."
            )
        by_image[one.image_id].append(one)
    names = {c.id: c.name for c in found.categories}
    objects = {i.file_name: _of_coco(i, by_image[i.id], numbers) for i in found.images}
    return _checked(file, tuple(names[number] for number in numbers), objects)


def _of_coco(image: _Image, marked: Sequence[_Object], numbers: Mapping[int, int]) -> Objects:
    size = (image.height, image.width) if image.height and image.width else None
    return _objects(
        [one.box() for one in marked],
        [numbers[one.category_id] for one in marked],
        [one.iscrowd for one in marked],
        [one.area for one in marked],
        [one.segmentation for one in marked],
        size,
    )


def _objects(
    boxes: Sequence[Sequence[float]],
    labels: Sequence[int],
    ignored: Sequence[bool],
    areas: Sequence[float | None],
    outlines: Sequence[Outline],
    size: tuple[int, int] | None,
) -> Objects:
    corners = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    given = np.array(areas, dtype=np.float64)  # NaN for None
    own = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    return Objects(
        corners,
        np.array(labels, dtype=np.int64),
        np.array(ignored, dtype=bool),
        np.where(np.isnan(given), own, given),
        tuple(outlines),
        size,
    )


def _checked(path: Path, classes: tuple[str, ...], objects: Mapping[str, Objects]) -> Annotations:
    if not any(len(marked) for marked in objects.values()):
        raise DataError(f"'{path}' marks no object in any of its {len(objects)} images.")
    return Annotations(path, classes, objects)


class _Voc:
    """The texts of one XML file, by the path of their element; those of objects apart."""

    def __init__(self, file: Path) -> None:
        self._path: list[str] = []
        self._text: list[str] = []
        self.facts: dict[str, str] = {}
        self.objects: list[dict[str, str]] = []
        data = _bytes(file)
        if len(data) > _XML_BYTES:
            raise DataError(f"'{file}' has {len(data)} bytes, too many for one image's objects.")
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.StartDoctypeDeclHandler = self._refuse
        try:
            parser.Parse(data, True)
        except (expat.ExpatError, ValueError) as error:  # the latter: an unknown encoding
            raise DataError(f"'{file}' is no XML file of VOC's form: {error}.") from error

    @staticmethod
    def _refuse(*_: Any) -> None:
        """Entities, which may grow without end or name other files, are declared there only."""
        raise ValueError("it declares a document type")

    def _start(self, name: str, _: Mapping[str, str]) -> None:
        self._path.append(name)
        self._text.clear()
        if self._path[1:] == ["object"]:
            self.objects.append({})

    def _end(self, _: str) -> None:
        below, text = self._path[1:], "".join(self._text).strip()
        if below[:1] == ["object"]:
            self.objects[-1]["/".join(below[1:])] = text
        else:
            self.facts["/".join(below)] = text
        self._path.pop()
        self._text.clear()


_SIDES = ("xmin", "ymin", "xmax", "ymax")


def _read_voc(folder: Path) -> Annotations:
    files = sorted(folder.glob("*.xml"))
    if not files:
        raise DataError(f"'{folder}' has no .xml files. Give detection.annotations their folder.")
    read = {file: _Voc(file) for file in files}
    names = {one.get("name", "") for found in read.values() for one in found.objects}
    classes = tuple(sorted(names))
    objects: dict[str, Objects] = {}
    for file, found in read.items():
        name = found.facts.get("filename") or file.stem
        if name in objects:
            raise DataError(f"'{file}' is for the image '{name}', as is a file before it.")
        try:
            objects[name] = _of_voc(found, classes)
        except (KeyError, ValueError) as error:
            raise DataError(f"'{file}' has an object without a right {error}.") from error
    return _checked(folder, classes, objects)


def _of_voc(found: _Voc, classes: Sequence[str]) -> Objects:
    """Its pixels count from 1, and the last one belongs to the box."""
    boxes = []
    for one in found.objects:
        corners = [_number(one, f"bndbox/{side}") for side in _SIDES]
        boxes.append([corners[0] - 1, corners[1] - 1, *corners[2:]])
    height, width = (found.facts.get(f"size/{side}", "") for side in ("height", "width"))
    stated = height.isdecimal() and width.isdecimal() and int(height) > 0 and int(width) > 0
    return _objects(
        boxes,
        [classes.index(one["name"]) for one in found.objects],
        [one.get("difficult") == "1" for one in found.objects],
        [None] * len(boxes),
        [[]] * len(boxes),
        (int(height), int(width)) if stated else None,
    )


def _number(texts: Mapping[str, str], key: str) -> float:
    try:
        value = float(texts[key])
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f"'{key}'")
    return value
