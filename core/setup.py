"""From a configuration to the parts of a run: data, encoder, objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from .config import DataConfig, RunConfig, merge, parse
from .dataset import Dataset
from .discovery import datasets, domains, objectives
from .domain import Domain
from .encoder import RGB, Encoder, check_needs, create_encoder, initialise
from .errors import DataError, UnknownNameError, UsageError
from .objective import Objective
from .pairing import Partners, same_group
from .splits import Splits, split


def resolve(*layers: Mapping[str, Any]) -> RunConfig:
    """Merges the user's layers over the defaults of the objective and the domain, and checks all.

    Args:
        layers: Nested settings: of the --config file, the flags and each --set.

    Raises:
        UsageError: At the first wrong name, key or value.
    """
    asked = merge(*layers)
    name = asked.get("domain")
    if not isinstance(name, str):
        raise UsageError(
            "Which domain are the images from? Give --domain; 'ssl-kit domains' lists them."
        )
    ours = {"objective": RunConfig.model_fields["objective"].default.model_dump()}
    below = merge(ours, domains[name].defaults)
    chosen = parse(RunConfig, merge(below, asked)).objective
    objective: type[Objective] = objectives[chosen.name]
    config = parse(RunConfig, merge(objective.defaults, below, asked))
    options = parse(objective.Config, config.objective.options, "objective")
    named = {"name": chosen.name, **options.model_dump()}
    return parse(RunConfig, {**config.model_dump(), "objective": named})


def open_dataset(
    domain: Domain, config: DataConfig, value_range: ArrayLike | None = None
) -> Dataset:
    """Opens the images of a configuration; without a path, the domain's demo.

    Args:
        domain: Says which datasets can open its files.
        config: The `data` section.
        value_range: That of an earlier run, or None to measure it.

    Raises:
        UsageError: If the path or reader does not exist.
        DataError: If nothing in it can be read.
    """
    path = Path(config.path)
    name = config.reader
    if not config.path:
        name = name or domain.demo
    elif config.path in datasets and not path.exists():
        name = config.path
    elif not path.exists():
        raise UsageError(f"The data '{config.path}' do not exist. Give --data a folder or a file.")
    elif not name:
        name = _reader_for(domain, path)
    reader: type[Dataset] = datasets[name]
    options = parse(reader.Config, config.options, "data.options")
    labels = Path(config.labels) if config.labels else None
    if labels and not labels.is_file():
        raise UsageError(f"The labels '{labels}' do not exist. Give --labels a CSV file.")
    return reader.open(path, options, labels, value_range)


def _reader_for(domain: Domain, path: Path) -> str:
    for name in domain.datasets:
        reader: type[Dataset] = datasets[name]
        if reader.accepts(path):
            return name
    raise DataError(
        f"The domain '{domain.name}' finds no file it can read in '{path}'; it reads "
        f"{', '.join(domain.datasets)}. See 'ssl-kit datasets'."
    )


def partners_of(domain: Domain, dataset: Dataset, name: str) -> Partners | None:
    """Returns the pairing of that name, "" for none; every domain has "group"."""
    if not name:
        return None
    pairings = {"group": same_group, **domain.pairings}
    if name not in pairings:
        raise UnknownNameError("pairing", name, pairings)
    return pairings[name](dataset.index)


def pixel_statistics(dataset: Dataset, pool: Sequence[int] | np.ndarray[Any, Any]) -> Statistics:
    """Measures mean and standard deviation of each channel, of values in [0, 1], on 256 images."""
    chosen = np.asarray(pool)[np.unique(np.linspace(0, len(pool) - 1, 256).astype(int))]
    sums, squares, count = 0.0, 0.0, 0
    for i in chosen:
        try:
            image = dataset[int(i)].image
        except DataError:
            continue
        unit = 255.0 if image.dtype == np.uint8 else 1.0
        flat = image.reshape(-1, image.shape[2]).astype(np.float64) / unit
        sums, squares, count = sums + flat.sum(0), squares + (flat**2).sum(0), count + len(flat)
    if not count:
        raise DataError("None of the images looked at can be read; see the files themselves.")
    mean = np.asarray(sums) / count
    std = np.sqrt(np.maximum(np.asarray(squares) / count - mean**2, 1e-6))
    return Statistics(mean.round(6).tolist(), std.round(6).tolist())


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of each channel, of values in [0, 1]."""

    mean: list[float]
    std: list[float]


@dataclass
class Setup:
    """The parts of a run.

    Attributes:
        config: Resolved.
        domain: Policies and pairings.
        dataset: All images.
        splits: Which are for training; validation images are trained on too, test images never.
        encoder: With its initial weights.
        objective: On top of the encoder.
        statistics: What standardising uses.
        loaded: A sentence on the initial weights.
    """

    config: RunConfig
    domain: Domain
    dataset: Dataset
    splits: Splits
    encoder: Encoder
    objective: Objective
    statistics: Statistics
    loaded: str

    @property
    def pool(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Positions of the images to pre-train on, sorted."""
        return np.sort(np.concatenate([self.splits.train, self.splits.val]))


def build(config: RunConfig) -> Setup:
    """Builds the parts of a run; fails before any training if they do not fit together."""
    domain: Domain = domains[config.domain]
    kind: type[Objective] = objectives[config.objective.name]
    dataset = open_dataset(domain, config.data)
    partners_of(domain, dataset, config.data.pair_by)  # a wrong name fails here
    torch.manual_seed(config.seed)
    encoder = create_encoder(config.encoder.name, len(dataset.channels), config.encoder.image_size)
    check_needs(encoder, config.objective.name, kind.needs)
    loaded = initialise(encoder, config.encoder.init, dataset.channels)
    objective = kind(encoder, parse(kind.Config, config.objective.options, "objective"))
    splits = split(dataset.index, config.data.holdout)
    setup = Setup(config, domain, dataset, splits, encoder, objective, Statistics([], []), loaded)
    setup.statistics = statistics_for(encoder, config.encoder.init, dataset, setup.pool)
    return setup


def statistics_for(
    encoder: Encoder, init: str, dataset: Dataset, pool: np.ndarray[Any, Any]
) -> Statistics:
    """Returns what initial RGB weights expect, else what is measured on the images.

    A channel that is none of the three gets the mean of theirs. Measured figures would stretch
    images of little contrast: weights of ImageNet then told radar targets apart much worse.
    """
    expected = encoder.pretrained_statistics
    if init != "scratch" and expected is not None:
        named = [dict(zip(RGB, values, strict=True)) for values in expected]
        return Statistics(
            *([of.get(c, sum(of.values()) / 3) for c in dataset.channels] for of in named)
        )
    return pixel_statistics(dataset, pool)
