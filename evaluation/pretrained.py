"""An encoder together with what it needs to see an image; how to embed images with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.dataset import Dataset
from ..core.domain import Domain, Policy
from ..core.encoder import Encoder
from ..core.errors import UsageError
from ..core.view import View
from ..data.channel_statistics import Statistics, statistics_for
from ..data.loader import Skipped, ViewDataset, choose_workers, load
from ..data.order import Once
from ..data.process import seeded
from ..data.splits import Positions
from ..data.standardize import Standardize
from ..data.views import Renderer
from ..nn.weights import create_encoder, load_initial_weights, load_weights, read_weights
from ..training.device import choose_device
from ..training.run import Run

_BATCH = 256


@dataclass(frozen=True)
class Pretrained:
    """An encoder with its preprocessing.

    Attributes:
        name: How to call it in tables.
        encoder: With its weights.
        channels: Names of its input channels.
        statistics: For standardizing.
        image_size: Pixels it is used at.
        loaded: A sentence on the weights.
    """

    name: str
    encoder: Encoder
    channels: tuple[str, ...]
    statistics: Statistics
    image_size: int
    loaded: str

    def check(self, dataset: Dataset) -> None:
        """Raises UsageError if a dataset has other channels than the encoder."""
        if tuple(dataset.channels) != self.channels:
            raise UsageError(
                f"The images have channels {'/'.join(dataset.channels)}, but {self.name} was "
                f"trained on {'/'.join(self.channels)}. Choose --data with the same channels."
            )


def from_run(run: Run) -> Pretrained:
    """Loads the encoder that a run left, printing nothing and refusing what does not fit.

    Raises:
        RunError: If the run has no encoder yet or the file is of another architecture.
    """
    facts = run.read_json("encoder.json")
    channels = tuple(facts["channels"])
    with seeded(0):  # its random weights are overwritten
        encoder = create_encoder(facts["architecture"], len(channels), facts["image_size"])
    state, source = read_weights(run.encoder)
    loaded = load_weights(encoder, state, source, channels, str(run.encoder))
    statistics = Statistics(facts["mean"], facts["std"])
    return Pretrained(run.folder.name, encoder, channels, statistics, facts["image_size"], loaded)


def from_init(
    init: str, architecture: str, image_size: int, dataset: Dataset, pool: Positions, seed: int = 0
) -> Pretrained:
    """Makes an encoder with initial weights: the control to compare a run with.

    Args:
        init: "scratch", "imagenet" or a weights file.
        architecture: Name of the encoder.
        image_size: Pixels.
        dataset: The images it will see.
        pool: Positions that statistics may be measured on.
        seed: Of random weights.
    """
    with seeded(seed):
        encoder = create_encoder(architecture, len(dataset.channels), image_size)
        loaded = load_initial_weights(encoder, init, dataset.channels)
    statistics = statistics_for(encoder, init, dataset, pool)
    name = {"scratch": "untrained", "imagenet": "ImageNet"}.get(init, Path(init).name)
    return Pretrained(name, encoder, tuple(dataset.channels), statistics, image_size, loaded)


def embed(
    model: Pretrained,
    dataset: Dataset,
    positions: Positions,
    domain: Domain,
    workers: int = -1,
    advance: Callable[[int], None] = lambda n: None,
) -> tuple[NDArray[np.float32], Positions, Skipped]:
    """Maps images to features (n, D) with the "eval" view; see `embed_views`."""
    views = (View(model.image_size, policy="eval"),)
    features, rows, skipped = embed_views(
        model, dataset, positions, domain, views, workers, advance
    )
    return features[:, 0], rows, skipped


def embed_views(
    model: Pretrained,
    dataset: Dataset,
    positions: Positions,
    domain: Domain,
    views: Sequence[View],
    workers: int = -1,
    advance: Callable[[int], None] = lambda n: None,
) -> tuple[NDArray[np.float32], Positions, Skipped]:
    """Maps images to features of several views each; the same ones every time.

    Args:
        model: Put into evaluation mode.
        dataset: The images.
        positions: Which of them.
        domain: Its policies make the views.
        views: q requests of one size.
        workers: Loading processes.
        advance: Called with the number of images done.

    Returns:
        (n, q, D) features, the positions they belong to, and the images that could not be read.
    """
    model.check(dataset)
    policies: Mapping[str, Policy] = domain.policies
    renderer = Renderer(policies, views, dataset.channels, 0)
    device = choose_device()
    encoder = model.encoder.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    standardize = Standardize(model.statistics.mean, model.statistics.std, device)
    shown = ViewDataset(dataset, positions, renderer)
    features: list[NDArray[np.float32]] = []
    skipped: Skipped = []
    batches = Once(positions, max(1, _BATCH // len(views)))
    with torch.inference_mode():
        for raw in load(shown, batches, choose_workers(workers)):
            pixels = torch.stack(raw.views, dim=1).flatten(0, 1)
            rows = encoder(standardize(pixels)).float().cpu()
            features.append(rows.view(-1, len(views), rows.shape[1]).numpy())
            skipped += raw.skipped
            advance(len(raw.indices))
    bad = dict(skipped)
    readable = np.array([dataset.index.key(i) not in bad for i in positions], dtype=bool)
    return np.concatenate(features)[readable], positions[readable], list(bad.items())
