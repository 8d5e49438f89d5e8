"""Endless batches of augmented, standardized views of images, to train on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from ..core.view import View
from ..data.loader import ViewDataset, load
from ..data.order import Stream
from ..data.splits import Positions
from ..data.standardize import Standardize
from ..data.views import Renderer
from ..data.workers import choose_workers
from ..training.device import choose_device
from .data import EvaluationData
from .pretrained import Pretrained


def training_views(
    model: Pretrained,
    data: EvaluationData,
    rows: Positions,
    views: Sequence[View],
    batch_size: int,
    seed: int = 0,
    order: Sampler[tuple[int, Positions]] | None = None,
) -> Iterator[tuple[list[Tensor], NDArray[np.int64]]]:
    """Yields batches without end, in a new order in each epoch.

    Images that cannot be read are left out and counted; see `EvaluationData.note_unreadable`.

    Args:
        model: Its statistics standardize the views.
        data: The images, whose domain has the policies of the views.
        rows: Positions of the images to train on.
        views: The views of each image.
        batch_size: Number of images in a batch (B).
        seed: Random seed of the order and of the views.
        order: Another order of the images.

    Raises:
        DataError: If too many images cannot be read.

    Yields:
        The views, (B, C, H, W) each, on the device, and the positions (B,) of their images.
    """
    device, statistics = choose_device(), model.statistics
    renderer = Renderer(data.domain.policies, tuple(views), data.dataset.channels, seed)
    standardize, index = Standardize(statistics.mean, statistics.std, device), data.dataset.index
    images, workers = ViewDataset(data.dataset, rows, renderer), choose_workers(data.workers)
    batches = order or Stream(rows, min(batch_size, len(rows)), seed)
    for raw in load(images, batches, workers, device.type == "cuda"):
        data.note_unreadable(raw.skipped, rows, tell=False)  # the next predictions warn of all
        skipped = {key for key, _ in raw.skipped}  # another image stands in its place
        kept = [n for n, i in enumerate(raw.indices.tolist()) if index.key(i) not in skipped]
        if len(kept) >= min(2, len(rows)):
            yield [standardize(view[kept]) for view in raw.views], raw.indices[kept].numpy()
