"""An encoder with its preprocessing, and the embedding of images with it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.dataset import Dataset
from ..core.domain import Domain, Policy
from ..core.encoder import Encoder
from ..core.errors import DataError, UsageError
from ..core.view import View
from ..data.channel_statistics import Statistics, statistics_for
from ..data.loader import Skipped, ViewDataset, load, remark_on_incomplete
from ..data.memory import in_parts
from ..data.order import Once
from ..data.process import seeded
from ..data.splits import Positions
from ..data.standardize import Standardize
from ..data.views import Renderer
from ..data.workers import choose_workers
from ..nn.checkpoints import listed, options_beside
from ..nn.weights import create_encoder, load_initial_weights, load_weights, read_weights
from ..training.device import choose_device
from ..training.finite import require_finite
from ..training.run import Run
from ..training.work import note_progress
from .channels import refuse_other_channels

_BATCH = 256
_log = logging.getLogger("ssl_kit")


@dataclass(frozen=True, eq=False)
class Pretrained:
    """An encoder with its preprocessing.

    Attributes:
        name: Its name in tables.
        encoder: The encoder with its weights.
        channels: Names of its input channels.
        statistics: Mean and standard deviation that standardize images.
        image_size: Height and width of its images, in pixels.
        loaded: A sentence on the weights.
        by_group: Encoders that were each pre-trained on one group, by its hash, for evaluations
            within groups; empty if this one is for all groups.
    """

    name: str
    encoder: Encoder
    channels: tuple[str, ...]
    statistics: Statistics
    image_size: int
    loaded: str
    by_group: Mapping[str, Pretrained] = field(default_factory=dict)

    def for_group(self, group: str) -> Pretrained:
        """Returns the encoder for a group.

        Args:
            group: Its hash.

        Raises:
            UsageError: If each group has an encoder of its own, and this one has none.
        """
        if self.by_group and group not in self.by_group:
            raise UsageError(
                f"'{self.name}' has a run for each group, and none for a group that is tested. "
                "Pre-train on this group as well (data.groups)."
            )
        return self.by_group.get(group, self)

    def check(self, dataset: Dataset) -> None:
        """Raises UsageError if a dataset has other channels than the encoder."""
        refuse_other_channels(dataset, self.channels, self.name)


def from_run(run: Run) -> Pretrained:
    """Loads the encoder of a run.

    Raises:
        RunError: If the run has no encoder yet, or the file is of another architecture.
    """
    run.require_encoder()
    return from_facts(run.folder.name, run.read_json("encoder.json"), run.encoder)


def from_facts(name: str, facts: Mapping[str, Any], weights: Path) -> Pretrained:
    """Loads an encoder from its weights and what encoder.json says of it.

    Args:
        name: How to call it in tables.
        facts: architecture, channels, image_size, mean and std.
        weights: File of weights.

    Raises:
        RunError: If the file cannot be read or is of another architecture.
    """
    channels = tuple(facts["channels"])
    with seeded(0):  # its random weights are overwritten
        size, options = facts["image_size"], facts.get("options", {})
        encoder = create_encoder(facts["architecture"], len(channels), size, **options)
    state, source = read_weights(weights)
    loaded = load_weights(encoder, state, source, channels, str(weights))
    loaded += f"; built with {listed(options)}" if options else ""
    statistics = Statistics(facts["mean"], facts["std"])
    return Pretrained(name, encoder, channels, statistics, facts["image_size"], loaded)


def from_init(
    init: str,
    architecture: str,
    image_size: int,
    dataset: Dataset,
    pool: Positions,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Pretrained:
    """Returns an encoder with initial weights: the control that a run is compared with.

    Args:
        init: "scratch", "imagenet", a weights file, or the folder of a run or an export.
        architecture: Name of the encoder.
        image_size: Height and width of its images, in pixels.
        dataset: The images that it will be used on.
        pool: Positions that statistics may be measured on.
        seed: Random seed of the weights.
        options: Further arguments of the architecture.
    """
    with seeded(seed):
        channels = len(dataset.channels)
        arguments = options_beside(init, architecture) | dict(options or {})
        encoder = create_encoder(architecture, channels, image_size, **arguments)
        loaded = load_initial_weights(encoder, init, dataset.channels)
    statistics = statistics_for(encoder, init, dataset, pool)
    loaded = "; ".join(filter(None, [loaded, statistics.origin]))
    name = {"scratch": "untrained", "imagenet": "ImageNet"}.get(init, Path(init).name)
    return Pretrained(name, encoder, tuple(dataset.channels), statistics, image_size, loaded)


def handcrafted(image_size: int, dataset: Dataset, pool: Positions) -> Pretrained:
    """Returns hand-crafted descriptors: those of signals if images have a height of 1.

    They are standardized by what is measured on the images, because the ranges of histograms suit
    no other values.

    Args:
        image_size: Height and width of the images, in pixels; the length of signals.
        dataset: The images.
        pool: Positions that statistics may be measured on.
    """
    kind = "statistics" if _are_signals(dataset, pool) else "descriptors"
    model = from_init("scratch", f"handcrafted/{kind}", image_size, dataset, pool)
    return replace(model, loaded=f"{kind} without weights")


def _are_signals(dataset: Dataset, pool: Positions) -> bool:
    """Tells whether the first image that can be read has a height of 1."""
    for i in pool:
        with suppress(DataError):
            return bool(dataset[int(i)].image.shape[0] == 1)
    return False


def embed(
    model: Pretrained,
    dataset: Dataset,
    positions: Positions,
    domain: Domain,
    workers: int = -1,
) -> tuple[NDArray[np.float32], Positions, Skipped]:
    """Maps images to features (n, D) with the "eval" view; see `embed_views`."""
    views = (View(model.image_size, policy="eval"),)
    features, rows, skipped = embed_views(model, dataset, positions, domain, views, workers)
    return features[:, 0], rows, skipped


def embed_views(
    model: Pretrained,
    dataset: Dataset,
    positions: Positions,
    domain: Domain,
    views: Sequence[View],
    workers: int = -1,
) -> tuple[NDArray[np.float32], Positions, Skipped]:
    """Maps several views of each image to features; the views are the same in every call.

    Args:
        model: The encoder, which is put into evaluation mode.
        dataset: The images.
        positions: Positions of the images to embed.
        domain: Its policies make the views.
        views: q requests of one size.
        workers: Number of loading processes; -1 chooses.

    Returns:
        (n, q, D) features, the positions of their images, and the images that cannot be read.

    Raises:
        NotFiniteError: If features are not finite.
    """
    model.check(dataset)
    policies: Mapping[str, Policy] = domain.policies
    renderer = Renderer(policies, views, dataset.channels, 0)
    device = choose_device()
    encoder = model.encoder.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    standardize = Standardize(model.statistics.mean, model.statistics.std, device)
    images = ViewDataset(dataset, positions, renderer)
    features: list[NDArray[np.float32]] = []
    skipped: Skipped = []
    incomplete: set[str] = set()
    done = 0
    batches = Once(positions, max(1, _BATCH // len(views)))
    with torch.inference_mode():
        for raw in load(images, batches, choose_workers(workers)):
            pixels = torch.stack(raw.views, dim=1).flatten(0, 1)
            rows = in_parts(lambda part: encoder(standardize(part)).float().cpu(), pixels)
            features.append(rows.view(-1, len(views), rows.shape[1]).numpy())
            skipped += raw.skipped
            incomplete.update(raw.incomplete)
            done += len(raw.indices)
            note_progress(done, len(positions), "image")
    if incomplete:
        _log.warning(remark_on_incomplete(incomplete))
    reasons = dict(skipped)
    embedded = np.concatenate(features)
    readable = np.array([dataset.index.key(i) not in reasons for i in positions], dtype=bool)
    require_finite(embedded[readable], f"features by '{model.name}'")
    return embedded[readable], positions[readable], list(reasons.items())
