"""Pictures inside a page as JPEG data URIs, so that the page needs no other file."""

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

TRACES = 8  # channels of a signal that are drawn


@dataclass(frozen=True)
class Sprite:
    """Many thumbnails in one picture.

    Attributes:
        uri: Data URI.
        columns: Number of thumbnails in a row.
        rows: Number of rows.
    """

    uri: str
    columns: int
    rows: int


def jpeg(image: Image, quality: int = 78) -> str:
    """Returns an RGB image, (H, W, 3) uint8, as a data URI."""
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def png(file: bytes) -> str:
    """Returns the content of a PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(file).decode()


def sprite(images: Sequence[Image], columns: int = 25) -> Sprite:
    """Arranges pictures of the same size in rows, from left to right."""
    size = images[0].shape[0]
    rows = -(-len(images) // columns)
    sheet = np.zeros((rows * size, columns * size, 3), np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * size, i % columns * size
        sheet[top : top + size, left : left + size] = image
    return Sprite(jpeg(sheet, 70), columns, rows)


class Photographer:
    """Renders images of a dataset as the encoder gets them, as square RGB pictures.

    Args:
        domain: Its "eval" policy makes the view.
        dataset: The images.
        size: Width and height in pixels.
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
    """Converts a view, (H, W, C) or a signal (1, T, C), to an RGB picture, (size, size, 3)."""
    if view.shape[0] == 1:
        return trace(view[0], size)
    rgb = to_rgb(view, channels)
    how = cv2.INTER_AREA if rgb.shape[0] > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, (size, size), interpolation=how), dtype=np.uint8)


def trace(signal: Image, size: int) -> Image:
    """Draws the first channels of a signal (T, C) as curves below each other."""
    canvas = np.full((size, size, 3), 250, np.uint8)
    unit = signal / np.float64(full_scale(signal.dtype))
    channels = unit[:, :TRACES]
    band = size / channels.shape[1]
    x = np.linspace(0, size - 1, len(channels))
    for c, curve in enumerate(channels.T):
        low, high = curve.min(), curve.max()
        y = (c + 0.9 - 0.8 * (curve - low) / max(high - low, 1e-9)) * band
        line = np.column_stack([x, y]).round().astype(np.int32)
        cv2.polylines(canvas, [line], False, (0, 84, 140), 1, cv2.LINE_AA)
    return canvas
