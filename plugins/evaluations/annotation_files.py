"""Readers of annotated objects: COCO's JSON files and Pascal VOC's XML files.

COCO: https://cocodataset.org/#format-data. VOC: Everingham et al. 2010,
https://doi.org/10.1007/s11263-009-0275-4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from ... import DataError, UsageError
from .annotations import Annotations, Objects
from .outlines import Outline

_XML_BYTES = 2**22  # largest file of one image: some 10,000 objects


def read_annotations(path: Path) -> Annotations:
    """Reads a COCO JSON file, or all Pascal VOC XML files of a folder.

    Raises:
        UsageError: If the file or folder does not exist.
        DataError: If a file is damaged, or no object is annotated.
    """
    if path.is_dir():
        return _read_voc(path)
    if not path.is_file():
        raise UsageError(
            f"The annotations '{path}' do not exist. Give detection.annotations a COCO JSON file, "
            "or a folder of Pascal VOC XML files."
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
        coco = _Coco.model_validate_json(_bytes(file))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise DataError(f"'{file}' is no COCO JSON file: {where}: {first['msg']}.") from error
    numbers = {c.id: k for k, c in enumerate(sorted(coco.categories, key=lambda c: c.id))}
    images = {image.id for image in coco.images}
    by_image: dict[int | str, list[_Object]] = defaultdict(list)
    for one in coco.annotations:
        if one.category_id not in numbers or one.image_id not in images:
            raise DataError(
                f"'{file}' has an object of image {one.image_id} and category {one.category_id}; "
                "at least one of them is not listed."
            )
        by_image[one.image_id].append(one)
    names = {c.id: c.name for c in coco.categories}
    objects = {i.file_name: _of_coco(i, by_image[i.id], numbers) for i in coco.images}
    if len(objects) < len(coco.images):
        raise DataError(f"'{file}' lists an image's file_name twice.")
    return _checked(file, tuple(names[number] for number in numbers), objects)


def _of_coco(image: _Image, annotated: Sequence[_Object], numbers: Mapping[int, int]) -> Objects:
    size = (image.height, image.width) if image.height and image.width else None
    return _objects(
        [one.box() for one in annotated],
        [numbers[one.category_id] for one in annotated],
        [one.iscrowd for one in annotated],
        [one.area for one in annotated],
        [one.segmentation for one in annotated],
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
    of_boxes = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    return Objects(
        corners,
        np.array(labels, dtype=np.int64),
        np.array(ignored, dtype=bool),
        np.where(np.isnan(given), of_boxes, given),
        tuple(outlines),
        size,
    )


def _checked(path: Path, classes: tuple[str, ...], objects: Mapping[str, Objects]) -> Annotations:
    if not any(len(of_image) for of_image in objects.values()):
        raise DataError(f"'{path}' annotates no object in any of its {len(objects)} images.")
    return Annotations(path, classes, objects)


class _NoEntities(ElementTree.TreeBuilder):
    """Refuses document types, because entities can expand without limit or read other files."""

    def doctype(self, *_: Any) -> None:
        raise ValueError("it declares a document type")


def _xml(file: Path) -> ElementTree.Element:
    data = _bytes(file)
    if len(data) > _XML_BYTES:
        raise DataError(f"'{file}' has {len(data)} bytes, too many for the objects of one image.")
    parser = ElementTree.XMLParser(target=_NoEntities())  # noqa: S314  without entities it is safe
    try:
        parser.feed(data)
        root: ElementTree.Element = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the last: its encoding
        raise DataError(f"'{file}' is no Pascal VOC XML file: {error}.") from error
    return root


def _read_voc(folder: Path) -> Annotations:
    files = sorted(folder.glob("*.xml"))
    if not files:
        raise DataError(f"'{folder}' has no .xml files. Give detection.annotations their folder.")
    roots = {file: _xml(file) for file in files}
    all_objects = [one for root in roots.values() for one in root.iterfind("object")]
    classes = tuple(sorted({_text(one, "name") for one in all_objects} - {""}))
    objects: dict[str, Objects] = {}
    for file, root in roots.items():
        name = _text(root, "filename") or file.stem
        if name in objects:
            raise DataError(f"'{file}' is for the image '{name}', like an earlier file.")
        try:
            objects[name] = _of_voc(root, classes)
        except ValueError as error:
            raise DataError(f"'{file}' has an object without a valid {error}.") from error
    return _checked(folder, classes, objects)


def _of_voc(root: ElementTree.Element, classes: Sequence[str]) -> Objects:
    annotated = root.findall("object")
    if not all(_text(one, "name") for one in annotated):
        raise ValueError("'name'")
    height, width = (_text(root, f"size/{side}") for side in ("height", "width"))
    stated = height.isdecimal() and width.isdecimal() and int(height) > 0 and int(width) > 0
    return _objects(
        [_box_of_voc(one) for one in annotated],
        [classes.index(_text(one, "name")) for one in annotated],
        [_text(one, "difficult") == "1" for one in annotated],
        [None] * len(annotated),
        [[]] * len(annotated),
        (int(height), int(width)) if stated else None,
    )


def _box_of_voc(one: ElementTree.Element) -> list[float]:
    """Returns x1, y1, x2, y2; pixels of VOC count from 1, and the last belongs to the box."""
    x1, y1, x2, y2 = (_number(one, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax"))
    return [x1 - 1, y1 - 1, x2, y2]


def _text(element: ElementTree.Element, path: str) -> str:
    return element.findtext(path, "").strip()


def _number(element: ElementTree.Element, path: str) -> float:
    try:
        value = float(_text(element, path))
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f"'{path}'")
    return value
