"""The contact sheet: what the views of a domain look like, and how much each augmentation clips."""

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
    """What one augmentation does to the ends of the range.

    Attributes:
        transform: Its name.
        clipped: Mean share of values newly at the lowest or highest value, when it is applied.
    """

    transform: str
    clipped: float


def to_rgb(image: Image, channels: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Shows any image as (H, W, 3) uint8: red, green, blue if it has them, else the first bands."""
    names = [c for c in ("red", "green", "blue") if c in channels]
    picks = (
        [channels.index(c) for c in names] if len(names) == 3 else list(range(len(channels)))[:3]
    )
    shown = image[..., picks if len(picks) == 3 else picks[:1] * 3]
    if shown.dtype != np.uint8:
        shown = (np.clip(shown, 0, 1) * 255).round()
    return np.ascontiguousarray(shown, dtype=np.uint8)


def contact_sheet(
    domain: Domain,
    dataset: Dataset,
    view: View,
    out: Path,
    images: int = 6,
    views: int = 8,
    seed: int = 0,
) -> list[Clip]:
    """Writes a PNG: one row per image, the whole image first, then its augmented views.

    Args:
        domain: Its policy makes the views.
        dataset: The images.
        view: The request.
        out: PNG file.
        images: Rows.
        views: Columns beside the image.
        seed: Of the views.

    Returns:
        What each augmentation of the policy clips.
    """
    requests = (View(view.size, policy="eval"),) + (view,) * views
    renderer = Renderer(domain.policies, requests, dataset.channels, seed)
    shown = list(_readable(dataset, images))
    rows = [
        [_cell(renderer(image, 0, i, v), dataset.channels) for v in range(len(requests))]
        for i, image in shown
    ]
    titles = ["image", f"{domain.name}: policy '{view.policy}', {view.size} px"]
    write_atomic(out, _png(rows, titles))
    pipeline = renderer.pipelines[1]
    return clipping(pipeline, [image for _, image in shown], seed)


def _readable(dataset: Dataset, count: int) -> list[tuple[int, Image]]:
    found: list[tuple[int, Image]] = []
    for i in evenly_spaced(len(dataset), count).tolist():
        try:
            found.append((i, dataset[i].image))
        except DataError:
            continue
    if not found:
        raise DataError("None of the images looked at can be read; see the files themselves.")
    return found


def clipping(pipeline: Compose, images: list[Image], seed: int, draws: int = 8) -> list[Clip]:
    """Measures what each transform of a pipeline clips when it is applied, one after another."""
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
    """Draws the first channels of a signal (T, C) below each other."""
    unit = signal[:, :most] / full_scale(signal.dtype)
    cell = np.full((_CELL, _CELL, 3), 245, np.uint8)
    height = _CELL / unit.shape[1]
    x = np.linspace(0, _CELL - 1, len(unit))
    for c, values in enumerate(unit.T):
        line = np.column_stack([x, (c + 1 - values) * height]).round().astype(np.int32)
        cv2.polylines(cell, [line], False, (40, 70, 120), 1, cv2.LINE_AA)
    return cell


def _png(rows: list[list[Image]], titles: list[str]) -> bytes:
    """Lays cells out on white with a title over the first and the second column."""
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
