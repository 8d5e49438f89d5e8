"""Several random views of each image as features: what label-free measures need."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from .dataset import Dataset
from .domain import Domain
from .loader import Once, Standardize, ViewDataset, choose_workers, load
from .objective import View
from .pretrained import Pretrained
from .splits import Positions
from .views import Renderer

_BATCH = 64


def embed_views(
    model: Pretrained,
    dataset: Dataset,
    positions: Positions,
    domain: Domain,
    views: int,
    workers: int = -1,
) -> NDArray[np.float32]:
    """Maps images to features of several "default" views each; the same ones every time.

    Args:
        model: Put into evaluation mode.
        dataset: The images.
        positions: Which of them.
        domain: Its policies make the views.
        views: q.
        workers: Loading processes.

    Returns:
        (n, q, D) features of the images that can be read.
    """
    model.check(dataset)
    asked = (View(model.image_size),) * views
    renderer = Renderer(domain.policies, asked, dataset.channels, 0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = model.encoder.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    standardize = Standardize(model.statistics.mean, model.statistics.std, device)
    shown = ViewDataset(dataset, positions, renderer)
    features: list[NDArray[np.float32]] = []
    bad: set[str] = set()
    with torch.inference_mode():
        for raw in load(shown, Once(positions, _BATCH), choose_workers(workers)):
            pixels = torch.stack(raw.views, dim=1).flatten(0, 1)
            rows = encoder(standardize(pixels)).float().cpu()
            features.append(rows.view(-1, views, rows.shape[1]).numpy())
            bad.update(key for key, _ in raw.skipped)
    readable = np.array([dataset.index.key(i) not in bad for i in positions], dtype=bool)
    found: NDArray[np.float32] = np.concatenate(features)[readable]
    return found
