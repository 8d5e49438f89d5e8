"""The sheet of Grad-CAM pictures of a fine-tuned classifier."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..core.atomic import write_atomic
from ..core.dataset import Image
from ..core.encoder import Encoder
from ..core.index import evenly_spaced
from ..core.view import View
from ..data.splits import Positions
from ..data.standardize import Standardize
from ..data.views import Renderer
from ..evaluation.classifier import Classifier
from ..evaluation.data import EvaluationData
from ..evaluation.grad_cam import grad_cam
from ..evaluation.pretrained import Pretrained
from ..evaluation.tuned import TunedRun, load_classifier
from .html.pictures import TRACES, square
from .sheet import shown_sentence
from .sheet_drawing import CELL, Tile, draw_sheet
from .text import GRAD_CAM
from .words import listed, plural

_COLUMNS = 6
_COLUMN_NAMES = ("image", "file", "true", "predicted", "probability")
_OPACITY = 0.6  # of the strongest position


def write_grad_cam(run: TunedRun, data: EvaluationData, count: int) -> None:
    """Writes the sheet of a classifier and the names of its images, which are not in the sheet.

    Args:
        run: The classifier; gradcam.png and gradcam.csv are written into its folder.
        data: Labeled images in three parts.
        count: Number of images.

    Raises:
        UsageError: If the encoder has no feature map.
    """
    sheet, rows = grad_cam_sheet(*load_classifier(run), data, count)
    table = io.StringIO(newline="")
    csv.writer(table, lineterminator="\n").writerows([_COLUMN_NAMES, *rows])
    file = run.folder / GRAD_CAM
    write_atomic(file.with_suffix(".csv"), table.getvalue().encode(errors="surrogateescape"))
    write_atomic(file, sheet)


def grad_cam_sheet(
    model: Pretrained, classifier: Classifier, data: EvaluationData, count: int
) -> tuple[bytes, list[tuple[str, ...]]]:
    """Draws test images with the positions that speak for the predicted class.

    Captions have a number, the true and the predicted class. Each class and, within it, wrong
    predictions get an equal share of the pictures if there are so many.

    Args:
        model: The encoder of the classifier, with its preprocessing.
        classifier: In evaluation mode, on the CPU.
        data: Labeled images in three parts.
        count: Number of images.

    Returns:
        A PNG file, and a row for each image: number, name, true and predicted class, probability.

    Raises:
        UsageError: If the encoder has no feature map.
    """
    whole = replace(model, encoder=cast(Encoder, classifier))  # its forward is all that is called
    logits, positions = data.embed(whole, data.parts.test)
    index, probabilities = data.dataset.index, torch.from_numpy(logits).softmax(dim=1).numpy()
    predicted, labels = probabilities.argmax(axis=1), index.labels[positions]
    draw, tiles, sizes = _Artist(model, classifier.cpu(), data), [], set()
    table = list[tuple[str, ...]]()
    for number, row in enumerate(chosen_rows(labels, predicted, count).tolist(), 1):
        position, guess = int(positions[row]), int(predicted[row])
        picture, heat = draw(position, guess)
        true, name = index.label(position), index.classes[guess]
        share = float(probabilities[row, guess])
        caption = [f"image {number}", f"true: {true}", f"predicted: {name}, {share:.0%}"]
        caption += ["wrong"] if guess != labels[row] else []
        table.append((str(number), index.key(position), true, name, f"{share:.4f}"))
        tiles.append((Tile(picture, []), Tile(overlay(picture, heat), caption)))
        sizes.add(f"{heat.shape[0]} x {heat.shape[1]}")
    columns = -(-len(tiles) // -(-len(tiles) // _COLUMNS))  # so that all rows are about as long
    blocks = [tiles[n : n + columns] for n in range(0, len(tiles), columns)]
    rows = [list(row) for block in blocks for row in zip(*block, strict=True)]
    notes = [
        "Above: the image as the network gets it. Below: what speaks for the predicted class, from "
        "blue (little) to red (the most in this image); nothing speaks for it where it is gray. "
        "The names of the images are in gradcam.csv.",
        f"The maps have {listed(sorted(sizes))} positions; a larger image size gives finer ones. "
        f"{shown_sentence(data.dataset.channels, draw.curves)}",
    ]
    title = f"Grad-CAM of {plural(len(tiles), 'test image')}"
    return draw_sheet(rows, title, notes, apart=False), table


class _Artist:
    """Renders an image as the network gets it, and its Grad-CAM."""

    def __init__(self, model: Pretrained, classifier: Classifier, data: EvaluationData) -> None:
        self._classifier, self._data = classifier, data
        view = View(model.image_size, policy="eval")
        policies, channels = data.domain.policies, data.dataset.channels
        self._renderer = Renderer(policies, (view,), channels, 0)
        self._standardize = Standardize(model.statistics.mean, model.statistics.std, "cpu")
        self.curves = 0  # that are drawn of a signal

    def __call__(self, position: int, number: int) -> tuple[Image, NDArray[np.float32]]:
        """Returns the picture (CELL, CELL, 3) and the map (h, w) of a class."""
        image = self._data.dataset[position].image
        view = self._renderer(image, 0, position, 0)
        self.curves = TRACES if view.shape[0] == 1 else 0
        x = self._standardize(torch.from_numpy(view)[None])
        heat = grad_cam(self._classifier, x, torch.tensor([number]))[0]
        return square(view, self._data.dataset.channels, CELL), heat.numpy()


def overlay(picture: Image, heat: NDArray[np.float32]) -> Image:
    """Draws a map over a picture, which becomes gray: from clear to blue, green and red.

    Args:
        picture: (H, W, 3) uint8.
        heat: (h, w) in [0, 1].
    """
    gray = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    size = picture.shape[1], picture.shape[0]
    smooth = cv2.resize(heat, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)
    levels = (255 * smooth).round().astype(np.uint8)
    colors = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[..., ::-1]
    alpha = _OPACITY * np.minimum(1, 2 * smooth)[..., None]
    mixed: Image = ((1 - alpha) * gray + alpha * colors).round().astype(np.uint8)
    return mixed


def chosen_rows(
    labels: NDArray[Any] | Sequence[int], predicted: NDArray[Any], count: int
) -> Positions:
    """Chooses images of all classes, right and wrong ones in equal numbers if there are so many.

    Args:
        labels: (n,) class numbers.
        predicted: (n,) class numbers.
        count: How many at most.

    Returns:
        Rows, by class, wrong predictions first.
    """
    true = np.asarray(labels)
    cells = [
        np.flatnonzero((true == k) & ((predicted != k) == wrong))
        for k in np.unique(true)
        for wrong in (True, False)
    ]
    taken = [0] * len(cells)
    for _ in range(min(count, len(true))):
        left = [n for n, cell in enumerate(cells) if taken[n] < len(cell)]
        taken[min(left, key=taken.__getitem__)] += 1
    pairs = zip(cells, taken, strict=True)
    return np.concatenate([cell[evenly_spaced(len(cell), number)] for cell, number in pairs])
