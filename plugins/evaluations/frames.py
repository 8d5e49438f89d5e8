"""Brings images and their annotations into one frame where EXIF turns the images."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from ... import DataError, Dataset, Image
from .annotations import Located, Objects

Frame = Literal["auto", "stored", "shown"]
_ASKED = 64  # turned images whose sizes and boxes are compared
_SWAPS = 5  # EXIF orientations from here on swap height and width


@runtime_checkable
class Turns(Protocol):
    """A dataset that applies the EXIF orientation of its files."""

    def orientation(self, i: int) -> int:
        """Returns the EXIF orientation that was applied to image i, 1 to 8."""


def in_frame(located: Located, dataset: Dataset, frame: Frame) -> Located:
    """Decides whether annotations are drawn on the stored pixels or on the images as shown.

    The annotated sizes and the boxes tell if only one frame fits; stored pixels otherwise, which
    are what COCO's tools read.

    Args:
        located: The annotated objects.
        dataset: The images, which EXIF may turn.
        frame: "auto" to find out.

    Returns:
        The same objects; `turned` holds the images that are to be turned back.
    """
    if not isinstance(dataset, Turns):
        return located
    turned = {i: dataset.orientation(i) for i in located.objects}
    turned = {i: orientation for i, orientation in turned.items() if orientation > 1}
    if not turned:
        return located
    stored, shown = _votes(located, dataset, turned) if frame == "auto" else (0, 0)
    chosen = frame if frame != "auto" else "shown" if shown > stored else "stored"
    reason = "sizes and boxes fit" if stored + shown else "it is assumed"
    why = "it was chosen" if frame != "auto" else reason
    count = f"EXIF turns {len(turned)} of the {len(located.objects)} annotated images"
    other = "shown" if chosen == "stored" else "stored"
    handling = {
        "stored": "on the stored pixels, and the images are read as they are stored",
        "shown": "on the turned images",
    }
    remark = (
        f"{count}: the annotations are taken to be drawn {handling[chosen]} ({why}); "
        f"--set detection.frame={other} is the other reading."
    )
    return replace(located, turned=turned if chosen == "stored" else {}, remarks=(remark,))


def _votes(located: Located, dataset: Dataset, turned: dict[int, int]) -> tuple[int, int]:
    """Returns how many images fit only as stored, and how many fit only as shown."""
    stored = shown = 0
    swapping = [i for i, orientation in turned.items() if orientation >= _SWAPS]
    for i in swapping[:_ASKED]:
        try:
            height, width = dataset.read(i).shape[:2]
        except DataError:
            continue
        objects = located.objects[i]
        as_shown, as_stored = _fits(objects, height, width), _fits(objects, width, height)
        stored += as_stored and not as_shown
        shown += as_shown and not as_stored
    return stored, shown


def _fits(objects: Objects, height: int, width: int) -> bool:
    if objects.size is not None:
        return objects.size == (height, width)
    ends = objects.boxes[:, 2:]
    return bool((ends <= np.array([width, height]) + 1).all())


def turn_back(image: Image, orientation: int) -> Image:
    """Returns an image as it was stored, before an EXIF orientation was applied.

    Args:
        image: (H, W, C) as shown.
        orientation: 1 to 8.
    """
    if orientation == 6:  # shown a quarter turn to the right
        return np.rot90(image)
    if orientation == 8:
        return np.rot90(image, -1)
    if orientation in (3, 4, 7):
        image = image[::-1]
    if orientation in (2, 3, 7):
        image = image[:, ::-1]
    return image.transpose(1, 0, 2) if orientation in (5, 7) else image
