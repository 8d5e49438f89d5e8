"""Images with their annotated objects, as a detector takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import Dataset as TorchDataset

from ... import DataError, Dataset
from ...data import to_unit
from .annotations import Located, Objects
from .frames import turn_back
from .outlines import encode, mask_of

Positions = NDArray[np.int64]
Targets = dict[str, Tensor]


@dataclass(frozen=True)
class DetectionSample:
    """One image and its annotated objects, at the size that the detector takes.

    Attributes:
        key: Its name.
        image: (C, h, w) float32 in [0, 1].
        objects: Annotated objects, in pixels of the image as it is read.
        size: Height and width of the image as it is read.
        dropped: Number of boxes left out.
        masks: (n, h, w) uint8 of the objects; None if there are boxes only.
        packed: The same masks, of the image as it is read, for pycocotools; none in training.
    """

    key: str
    image: Tensor
    objects: Objects
    size: tuple[int, int]
    dropped: int
    masks: Tensor | None
    packed: tuple[dict[str, Any], ...]

    @property
    def scale(self) -> NDArray[np.float64]:
        """Factors (4,) from boxes in the image as it is read to boxes in the resized image."""
        height, width = self.size
        return np.tile([self.image.shape[2] / width, self.image.shape[1] / height], 2)

    def targets(self, mirrored: bool) -> tuple[Tensor, Targets]:
        """Returns the image and the targets of torchvision's detectors."""
        boxes = torch.from_numpy(self.objects.boxes * self.scale).float()
        targets = {"boxes": boxes, "labels": torch.from_numpy(self.objects.labels + 1)}
        if self.masks is not None:
            targets["masks"] = self.masks
        return mirror(self.image, targets) if mirrored else (self.image, targets)


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be read, and the reason."""

    key: str
    reason: str


def mirror(image: Tensor, targets: Targets) -> tuple[Tensor, Targets]:
    """Flips an image (C, h, w), its boxes (n, 4) and masks (n, h, w) horizontally."""
    x1, y1, x2, y2 = targets["boxes"].unbind(dim=1)
    width = image.shape[2]
    mirrored = {**targets, "boxes": torch.stack([width - x2, y1, width - x1, y2], dim=1)}
    if "masks" in targets:
        mirrored["masks"] = targets["masks"].flip(-1)
    return image.flip(-1), mirrored


class Images(TorchDataset[DetectionSample | Unreadable]):
    """Reads images with their annotated objects.

    Args:
        dataset: The images.
        located: The annotated objects.
        positions: Positions of the images to read.
        size: Length of the longer side, in pixels.
        training: Whether to leave out ignored objects; else masks are packed too.
    """

    def __init__(
        self, dataset: Dataset, located: Located, positions: Positions, size: int, training: bool
    ) -> None:
        self._dataset, self._objects, self._positions = dataset, located.objects, positions
        self._turned = located.turned
        self._size, self._masks, self._training = size, located.have_masks, training

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, n: int) -> DetectionSample | Unreadable:
        """Reads image n."""
        position = int(self._positions[n])
        key = self._dataset.index.key(position)
        try:
            image = turn_back(self._dataset[position].image, self._turned.get(position, 1))
            return self._sample(key, image, self._objects[position])
        except DataError as error:
            return Unreadable(key, str(error))

    def _sample(self, key: str, image: NDArray[Any], annotated: Objects) -> DetectionSample:
        height, width = image.shape[:2]
        objects = annotated.within(height, width)
        dropped = len(annotated) - len(objects)
        objects = objects.of(~objects.ignored) if self._training else objects
        unit = torch.from_numpy(np.ascontiguousarray(to_unit(image))).permute(2, 0, 1).contiguous()
        scale = self._size / max(height, width)
        shape = (max(1, round(height * scale)), max(1, round(width * scale)))
        resized = interpolate(unit[None], shape, mode="bilinear", antialias=True)[0]
        masks: Tensor | None = None
        packed: tuple[dict[str, Any], ...] = ()
        if self._masks and self._training:
            masks = torch.zeros((len(objects), *shape), dtype=torch.uint8)
            for row, filled in enumerate(_filled(objects, height, width)):
                masks[row] = interpolate(torch.from_numpy(filled)[None, None], shape)[0, 0]
        elif self._masks:
            packed = tuple(encode(filled) for filled in _filled(objects, height, width))
        return DetectionSample(key, resized, objects, (height, width), dropped, masks, packed)


def _filled(objects: Objects, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """Yields the mask (H, W) of each object, which is its box if there is no outline."""
    for outline, box in zip(objects.outlines, objects.boxes, strict=True):
        if outline:
            yield mask_of(outline, height, width)
        else:
            x1, y1, x2, y2 = box.round().astype(int)
            mask = np.zeros((height, width), dtype=np.uint8)
            mask[y1:y2, x1:x2] = 1
            yield mask
