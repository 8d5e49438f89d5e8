"""Pictures inside of a page: JPEG data URIs, so that the file needs no other."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ...core.dataset import Dataset, Image
from ...core.domain import Domain
from ...core.errors import DataError
from ...core.view import View
from ...data.pixels import full_scale
from ...data.views import Renderer
from ..sheet import to_rgb


@dataclass(frozen=True)
class Sprite:
    """Many thumbnails in one picture.

    Attributes:
        uri: Data URI.
        columns: Thumbnails in a row.
        rows: Rows of them.
    """

    uri: str
    columns: int
    rows: int


def jpeg(image: Image, quality: int = 78) -> str:
    """Returns (H, W, 3) uint8 RGB as a data URI."""
    done = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return "data:image/jpeg;base64," + base64.b64encode(done.tobytes()).decode()


def sprite(images: Sequence[Image], columns: int = 25) -> Sprite:
    """Lays equally large pictures out in rows, from left to right."""
    size = images[0].shape[0]
    rows = -(-len(images) // columns)
    sheet = np.zeros((rows * size, columns * size, 3), np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * size, i % columns * size
        sheet[top : top + size, left : left + size] = image
    return Sprite(jpeg(sheet, 70), columns, rows)


class Photographer:
    """Shows images of a dataset as the encoder sees them, square and in colors of a screen.

    Args:
        domain: Its "eval" policy makes the view.
        dataset: The images.
        size: Pixels.
    """

    def __init__(self, domain: Domain, dataset: Dataset, size: int) -> None:
        self._dataset, self._size = dataset, size
        view = View(size, policy="eval")
        self._renderer = Renderer(domain.policies, (view,), dataset.channels, 0)

    def __call__(self, i: int) -> Image:
        """Returns image i, (size, size, 3) uint8; gray if it cannot be read."""
        try:
            image = self._dataset[i].image
        except DataError:
            return np.full((self._size, self._size, 3), 128, np.uint8)
        return square(self._renderer(image, 0, i, 0), self._dataset.channels, self._size)


def square(view: Image, channels: tuple[str, ...], size: int) -> Image:
    """Shows a view, (H, W, C) or a signal (1, T, C), as (size, size, 3) uint8."""
    if view.shape[0] == 1:
        return trace(view[0], size)
    rgb = to_rgb(view, channels)
    how = cv2.INTER_AREA if rgb.shape[0] > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, (size, size), interpolation=how), dtype=np.uint8)


def trace(signal: Image, size: int) -> Image:
    """Draws a signal (T, C) as curves over time, one below the other, at most eight."""
    canvas = np.full((size, size, 3), 250, np.uint8)
    unit = signal / np.float64(full_scale(signal.dtype))
    shown = unit[:, :8]
    band = size / shown.shape[1]
    x = np.linspace(0, size - 1, len(shown))
    for c, curve in enumerate(shown.T):
        low, high = curve.min(), curve.max()
        y = (c + 0.9 - 0.8 * (curve - low) / max(high - low, 1e-9)) * band
        line = np.column_stack([x, y]).round().astype(np.int32)
        cv2.polylines(canvas, [line], False, (0, 84, 140), 1, cv2.LINE_AA)
    return canvas
