"""The contact sheet of augmented views, and the share of values that each augmentation clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..core.atomic import write_atomic
from ..core.dataset import Dataset, Image
from ..core.domain import Domain
from ..core.errors import DataError
from ..core.index import evenly_spaced
from ..core.view import View
from ..data.augment import Compose
from ..data.pixels import full_scale
from ..data.views import Renderer

_CELL, _GAP, _HEAD = 112, 4, 24


@dataclass(frozen=True)
class Clip:
    """How much an augmentation clips.

    Attributes:
        transform: Name of the augmentation.
        clipped: Mean share of values that it moves to the lowest or highest value.
    """

    transform: str
    clipped: float


def to_rgb(image: Image, channels: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Converts an image to RGB, (H, W, 3) uint8, from red, green and blue or the first bands."""
    names = [c for c in ("red", "green", "blue") if c in channels]
    bands = (
        [channels.index(c) for c in names] if len(names) == 3 else list(range(len(channels)))[:3]
    )
    rgb = image[..., bands if len(bands) == 3 else bands[:1] * 3]
    if rgb.dtype != np.uint8:
        rgb = (np.clip(rgb, 0, 1) * 255).round()
    return np.ascontiguousarray(rgb, dtype=np.uint8)


def contact_sheet(
    domain: Domain,
    dataset: Dataset,
    view: View,
    out: Path,
    images: int = 6,
    views: int = 8,
    seed: int = 0,
) -> list[Clip]:
    """Writes a PNG with a row per image: the whole image, then augmented views of it.

    Args:
        domain: Its policy makes the views.
        dataset: The images.
        view: Request for the views.
        out: PNG file.
        images: Number of images.
        views: Number of views of each image.
        seed: Of the augmentations.

    Returns:
        How much each augmentation of the policy clips.

    Raises:
        DataError: If none of the images can be read.
    """
    requests = (View(view.size, policy="eval"),) + (view,) * views
    renderer = Renderer(domain.policies, requests, dataset.channels, seed)
    examples = _readable(dataset, images)
    rows = [
        [_cell(renderer(image, 0, i, v), dataset.channels) for v in range(len(requests))]
        for i, image in examples
    ]
    titles = ["image", f"{domain.name}: policy '{view.policy}', {view.size} px"]
    write_atomic(out, _png(rows, titles))
    pipeline = renderer.pipelines[1]
    return clipping(pipeline, [image for _, image in examples], seed)


def _readable(dataset: Dataset, count: int) -> list[tuple[int, Image]]:
    """Reads evenly spread images: index and image of each that can be read."""
    readable: list[tuple[int, Image]] = []
    for i in evenly_spaced(len(dataset), count).tolist():
        try:
            readable.append((i, dataset[i].image))
        except DataError:
            continue
    if not readable:
        raise DataError(
            f"None of the images tried ({count} at most) can be read. Check the files, or choose "
            "another --data."
        )
    return readable


def clipping(pipeline: Compose, images: list[Image], seed: int, draws: int = 8) -> list[Clip]:
    """Measures how much each transform of a pipeline clips, when they are applied in order."""
    pipeline.set_random_seed(seed)
    shares: dict[str, list[float]] = {type(t).__name__: [] for t in pipeline.transforms}
    for image in images * draws:
        for transform in pipeline.transforms:
            after = transform(image=image, force_apply=True)["image"]
            gained = _saturated(after) - _saturated(image)
            shares[type(transform).__name__].append(max(0.0, gained))
            image = after if pipeline.py_random.random() < transform.p else image
            if after.shape != image.shape:
                image = after  # geometry always applies
    return [Clip(name, float(np.mean(values))) for name, values in shares.items()]


def _saturated(image: Image) -> float:
    return float(np.mean((image <= 0) | (image >= full_scale(image.dtype))))


def _cell(image: Image, channels: tuple[str, ...]) -> Image:
    if image.shape[0] == 1:
        return _curves(image[0])
    big = image.shape[0] > _CELL
    how = cv2.INTER_AREA if big else cv2.INTER_NEAREST
    return cv2.resize(to_rgb(image, channels), (_CELL, _CELL), interpolation=how)


def _curves(signal: Image, most: int = 4) -> Image:
    """Draws the first channels of a signal (T, C) as curves below each other."""
    unit = signal[:, :most] / full_scale(signal.dtype)
    cell = np.full((_CELL, _CELL, 3), 245, np.uint8)
    height = _CELL / unit.shape[1]
    x = np.linspace(0, _CELL - 1, len(unit))
    for c, values in enumerate(unit.T):
        line = np.column_stack([x, (c + 1 - values) * height]).round().astype(np.int32)
        cv2.polylines(cell, [line], False, (40, 70, 120), 1, cv2.LINE_AA)
    return cell


def _png(rows: list[list[Image]], titles: list[str]) -> bytes:
    """Arranges cells on white, with titles above the first and the second column."""
    step = _CELL + _GAP
    lefts = [_GAP + c * step + (_GAP if c else 0) for c in range(len(rows[0]))]
    sheet = np.full((_HEAD + step * len(rows), lefts[-1] + step, 3), 255, np.uint8)
    for r, row in enumerate(rows):
        for left, cell in zip(lefts, row, strict=True):
            top = _HEAD + r * step
            sheet[top : top + _CELL, left : left + _CELL] = cell
    for c, title in enumerate(titles):
        at = (2 * _GAP + c * (step + _GAP), _HEAD - 8)
        cv2.putText(sheet, title, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
    return bytes(cv2.imencode(".png", sheet[..., ::-1])[1])
