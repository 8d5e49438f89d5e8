"""From a configuration to the parts of a run: data, encoder, objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..core.config import validate
from ..core.dataset import Dataset
from ..core.discovery import domains, objectives
from ..core.domain import Domain
from ..core.encoder import Encoder
from ..core.errors import UsageError
from ..core.objective import Objective
from ..data.channel_statistics import Statistics, statistics_for
from ..data.opening import open_dataset, partners_of
from ..data.splits import Splits, split
from ..nn.weights import check_needs, create_encoder, load_initial_weights
from .settings import RunConfig, merge


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
    chosen = validate(RunConfig, merge(below, asked)).objective
    objective: type[Objective] = objectives[chosen.name]
    config = validate(RunConfig, merge(objective.defaults, below, asked))
    options = validate(objective.Config, config.objective.options, "objective")
    named = {"name": chosen.name, **options.model_dump()}
    return validate(RunConfig, {**config.model_dump(), "objective": named})


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
        statistics: What standardizing uses.
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
    loaded = load_initial_weights(encoder, config.encoder.init, dataset.channels)
    objective = kind(encoder, validate(kind.Config, config.objective.options, "objective"))
    splits = split(dataset.index, config.data.holdout)
    setup = Setup(config, domain, dataset, splits, encoder, objective, Statistics([], []), loaded)
    setup.statistics = statistics_for(encoder, config.encoder.init, dataset, setup.pool)
    return setup
