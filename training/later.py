"""Measures a pretext task on images after those that a run was pre-trained on."""

from __future__ import annotations

import numpy as np
import torch

from ..core.errors import RunError
from ..data.in_time import is_later, later_starts
from ..data.loader import ViewDataset
from ..data.splits import Positions
from ..data.standardize import Standardize, to_batch
from ..data.views import Renderer
from .run import Run
from .setup import Setup, build

_BATCH = 1024


def later_images(setup: Setup) -> Positions:
    """Returns the images after `data.until` of the groups that were pre-trained on."""
    index, config = setup.dataset.index, setup.config.data
    if config.until == 1:
        return np.arange(0)
    rows = np.flatnonzero(np.isin(index.groups, index.groups[setup.pool]))
    return rows[is_later(index, rows, later_starts(index, config.until))]


@torch.inference_mode()
def metric_later(run: Run, metric: str) -> float | None:
    """Returns a metric of the objective on later images of the same groups.

    Args:
        run: A run whose training has ended.
        metric: One that the objective records, or loss.

    Returns:
        None if there are no later images, or no such metric.

    Raises:
        RunError: If its checkpoint is gone.
    """
    setup, state = build(run.config), run.load_checkpoint()
    rows, total = later_images(setup), 0.0
    if state is None:
        raise RunError(f"The checkpoint '{run.last}' is gone. Repeat the training.")
    setup.objective.load_state_dict(state["objective"])
    setup.objective.eval()
    renderer = Renderer(setup.domain.policies, setup.views, setup.dataset.channels, run.config.seed)
    images = ViewDataset(setup.dataset, rows, renderer)
    standardize = Standardize(setup.statistics.mean, setup.statistics.std, "cpu")
    for some in np.array_split(rows, range(_BATCH, len(rows), _BATCH)) if len(rows) else ():
        batch = to_batch(images[0, some], setup.dataset, standardize)
        output = setup.objective(batch)
        value = {"loss": output.loss, **output.metrics}.get(metric)
        if value is None:
            return None
        total += float(value) * len(some)
    return total / len(rows) if len(rows) else None
