"""The contact sheet of augmented views: which images, views and captions; what is clipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.atomic import write_atomic
from ..core.dataset import Dataset, Image
from ..core.domain import Domain
from ..core.errors import DataError, UsageError
from ..core.index import evenly_spaced
from ..core.view import View
from ..data.augment import Compose
from ..data.pixels import full_scale
from ..data.views import Renderer
from .sheet_drawing import CURVES, Tile, curves, draw_sheet
from .steps import step_text, steps_sentence

_LEAST = 0.4  # share of the usual variation, below which an image shows nothing


@dataclass(frozen=True)
class Clip:
    """How much an augmentation clips.

    Attributes:
        transform: Name of the augmentation.
        clipped: Mean share of values that it moves to the lowest or highest value.
    """

    transform: str
    clipped: float


def shown(channels: Sequence[str]) -> list[int]:
    """Returns the channels that red, green and blue show, or the one that gray shows."""
    names = [c for c in ("red", "green", "blue") if c in channels]
    if len(names) == 3:
        return [list(channels).index(c) for c in names]
    return [0, 1, 2] if len(channels) >= 3 else [0]


def shown_sentence(channels: Sequence[str], curves: int = 0) -> str:
    """Says which channels a picture shows, and how.

    Args:
        channels: Names of all channels.
        curves: Number of channels that are drawn as curves; 0 for an image.
    """
    if tuple(channels) == ("gray",):
        return "The images have one channel."
    names = [channels[c] for c in shown(channels)]
    how = "Gray shows the channel" if len(names) == 1 else "Red, green and blue show the channels"
    if names == ["red", "green", "blue"]:
        how = "Colors are those of the channels"
    if curves:
        names, how = list(channels)[:curves], "Curves show the channels"
    of = f" (of {len(channels)} channels)" if len(channels) > len(names) else ""
    return f"{how} {', '.join(names)}{of}."


def to_rgb(image: Image, channels: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Converts an image to RGB, (H, W, 3) uint8, from red, green and blue or the first bands."""
    bands = shown(channels)
    rgb = image[..., bands if len(bands) == 3 else bands * 3]
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

    Captions name the file and the label of each image, the augmentations of each view, and the
    channels that are shown. Images without content, such as empty glass, are left out.

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
        UsageError: If the name does not end in .png.
    """
    if out.suffix.lower() != ".png":
        raise UsageError(f"'{out}' is to be a picture. Give --out a name that ends in .png.")
    requests = (View(view.size, policy="eval"),) + (view,) * views
    renderer = Renderer(domain.policies, requests, dataset.channels, seed)
    examples = with_content(dataset, images)
    rows = [
        [_tile(renderer, dataset, image, i, v) for v in range(len(requests))]
        for i, image in examples
    ]
    clips = clipping(renderer.pipelines[1], [image for _, image in examples], seed)
    first, image = examples[0]
    drawn = CURVES if renderer(image, 0, first, 0).shape[0] == 1 else 0
    title = f"{domain.name}, policy '{view.policy}', {view.size} px"
    notes = [
        f"Left: the whole image. Right: {views} views. {shown_sentence(dataset.channels, drawn)}",
        steps_sentence(renderer.pipelines[1]),
        "Captions give what was drawn for the view: of a crop its share of the area; ± is the mean "
        "change of the values, as a share of their range.",
    ]
    write_atomic(out, draw_sheet(rows, title, notes))
    return clips


def _tile(renderer: Renderer, dataset: Dataset, image: Image, i: int, v: int) -> Tile:
    """Returns a view with its caption: what the image is, or what was done to it."""
    picture = renderer(image, 0, i, v)
    if v == 0:
        lines = [dataset.index.key(i), dataset.index.label(i)]
    else:
        lines = [step_text(step, dataset.channels) for step in renderer.applied(image, 0, i, v)]
    if picture.shape[0] == 1:
        pixels = curves(picture[0], like=image[0])
    else:
        pixels = to_rgb(picture, dataset.channels)
    return Tile(pixels, [line for line in lines if line])


def with_content(dataset: Dataset, count: int) -> list[tuple[int, Image]]:
    """Reads evenly spread images that show something: index and image of each.

    An image whose values vary much less than usual, such as empty glass or air, is left out.

    Raises:
        DataError: If none of the images tried can be read.
    """
    readable = _readable(dataset, 3 * count)
    spreads = np.array([float((image / full_scale(image.dtype)).std()) for _, image in readable])
    chosen = np.flatnonzero(spreads >= _LEAST * np.median(spreads))
    return [readable[chosen[i]] for i in evenly_spaced(len(chosen), count)]


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
