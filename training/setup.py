"""From a configuration to the parts of a run: data, encoder, objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ..core.config import validate
from ..core.dataset import Dataset
from ..core.discovery import domains, objectives
from ..core.domain import Domain
from ..core.encoder import Encoder
from ..core.errors import UsageError
from ..core.index import Index
from ..core.objective import Objective, TrainingInfo
from ..core.view import View
from ..data.channel_statistics import Statistics, statistics_for
from ..data.earlier import open_like
from ..data.in_time import is_later, later_starts
from ..data.loader import ViewDataset
from ..data.opening import DataConfig, partners_of, with_absolute_options
from ..data.process import prepare_process, seeded
from ..data.splits import Positions, Splits, split
from ..data.targets import of_classes, of_groups, of_share
from ..data.views import Renderer, changed
from ..nn.checkpoints import digest_of_weights, facts_beside, options_beside
from ..nn.layers import freeze_all_statistics, freeze_first_layers
from ..nn.weights import check_needs, create_encoder, load_initial_weights
from .defaults import domain_defaults, objective_defaults
from .engine import divide_batch, process_count
from .layers import lead_of_objective, merge
from .settings import EncoderConfig, RunConfig


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
    below = merge(ours, *domain_defaults(domains[name], asked).values())
    checked = validate(RunConfig, merge(below, asked))
    chosen, init = checked.objective, checked.encoder.init
    objective: type[Objective] = objectives[chosen.name]
    lowest = objective_defaults(objective, chosen.name, init).values()
    config = validate(RunConfig, merge(*lowest, below, asked))
    lead = lead_of_objective(chosen.name, name, asked)
    options = validate(objective.Config, config.objective.options, "objective", lead)
    named = {"name": chosen.name, **options.model_dump()}
    config = validate(RunConfig, {**config.model_dump(), "objective": named})
    data = with_absolute_options(domains[name], config.data)
    return config.model_copy(update={"data": data})


@dataclass(frozen=True)
class Setup:
    """The parts of a run.

    Attributes:
        config: The resolved configuration.
        domain: Policies and pairings.
        dataset: All images.
        splits: Which are for training; validation images are trained on too unless `data.keep_out`
            says otherwise, test images never; of some classes alone if `data.classes` names them.
        encoder: With its initial weights.
        objective: On top of the encoder, prepared for training.
        statistics: Mean and standard deviation that standardize the images.
        loaded: A sentence on the initial weights.
        batch_size: Number of images in a batch, all processes together.
        initial_digest: SHA-256 of the file of the initial weights; "" if they are in no file.
    """

    config: RunConfig
    domain: Domain
    dataset: Dataset
    splits: Splits
    encoder: Encoder
    objective: Objective
    statistics: Statistics
    loaded: str
    batch_size: int
    initial_digest: str = ""

    @cached_property
    def pool(self) -> Positions:
        """Positions of the images to pre-train on, sorted."""
        return pool_of(self.dataset.index, self.splits, self.config.data)

    @property
    def left_out(self) -> int:
        """Number of images outside of the parts kept out whose class is not in `data.classes`."""
        whole, every = {"share": 1.0}, {"share": 1.0, "classes": ()}
        pools = (self.config.data.model_copy(update=update) for update in (every, whole))
        both, chosen = (len(pool_of(self.dataset.index, self.splits, data)) for data in pools)
        return both - chosen

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says of the images: counts, fingerprint, and groups as hashes."""
        index, pool = self.dataset.index, self.pool
        return {
            "data": {
                "fingerprint": self.dataset.fingerprint(),
                "images": len(self.dataset),
                "trained_on": len(pool),
            },
            "groups": sorted(index.group_hashes(pool)),
            "until": _until(index, pool, self.config.data),
        }

    @property
    def images_per_step(self) -> int:
        """Number of images whose gradients make one optimizer step."""
        return self.batch_size * self.config.train.accumulate

    @cached_property
    def steps_per_epoch(self) -> int:
        """Number of optimizer steps in an epoch; images that fill no step are left out."""
        return len(self.pool) // self.images_per_step

    @property
    def views(self) -> tuple[View, ...]:
        """The views of an image that the objective needs."""
        asked, size = self.config.views, self.config.encoder.image_size
        requests = self.objective.views(self.objective.config, size)
        return tuple(changed(view, asked.policy, asked.min_area) for view in requests)

    def view_dataset(
        self, views: Sequence[View], pair_by: str = "", keep: bool = False
    ) -> ViewDataset:
        """Returns what renders views of the images to pre-train on.

        Args:
            views: The requests.
            pair_by: Name of a pairing, whose partner every second view shows; "" for none.
            keep: Whether decoded images are kept in memory.
        """
        seed = self.config.seed
        renderer = Renderer(self.domain.policies, views, self.dataset.channels, seed)
        partners = partners_of(self.domain, self.dataset, pair_by)
        return ViewDataset(self.dataset, self.pool, renderer, partners, seed, keep)


def build(config: RunConfig) -> Setup:
    """Builds the parts of a run, and refuses before any training what does not fit together.

    Torch's random state is afterwards what it was before.

    Raises:
        UsageError: If settings, encoder, objective and images do not fit together.
        DataError: If the images cannot be read.
        PluginError: If a policy makes views of another shape than asked for.
    """
    prepare_process()
    domain: Domain = domains[config.domain]
    kind: type[Objective] = objectives[config.objective.name]
    init = config.encoder.init
    opened = open_like(domain, config.data, facts_beside(init), init)
    dataset = opened.dataset
    splits = split(dataset.index, config.data.holdout)
    pool = pool_of(dataset.index, splits, config.data)
    accumulate = config.train.accumulate
    batch_size = divide_batch(config.train.batch_size, len(pool), process_count(), accumulate)
    with seeded(config.seed):
        encoder = initial_encoder(config.encoder, len(dataset.channels))
        check_needs(encoder, config.objective.name, kind.needs)
        digest = digest_of_weights(init)
        loaded = load_initial_weights(encoder, init, dataset.channels)
        freeze_first_layers(encoder, config.encoder.frozen_layers)
        if config.encoder.frozen_statistics:
            freeze_all_statistics(encoder)
        objective = kind(encoder, validate(kind.Config, config.objective.options, "objective"))
        statistics = statistics_for(encoder, init, dataset, pool)
        loaded = "; ".join(filter(None, [loaded, statistics.origin, *opened.remarks]))
        mean, std = tuple(statistics.mean), tuple(statistics.std)
        steps = len(pool) // (batch_size * accumulate)
        objective.prepare(TrainingInfo(len(dataset), steps, mean, std))
    parts = (config, domain, dataset, splits, encoder, objective, statistics, loaded)
    setup = Setup(*parts, batch_size, digest)
    _check(setup)
    return setup


def initial_encoder(config: EncoderConfig, channels: int) -> Encoder:
    """Creates the encoder of a run with random weights, built as its initial weights were."""
    return create_encoder(config.name, channels, config.image_size, **arguments_of(config))


def arguments_of(config: EncoderConfig) -> dict[str, Any]:
    """Returns the arguments of an architecture: those of the initial weights, and what is set."""
    return options_beside(config.init, config.name) | config.arguments


def pool_of(index: Index, splits: Splits, config: DataConfig) -> Positions:
    """Returns the positions of the images to pre-train on, sorted.

    Args:
        index: Of all images.
        splits: Their parts.
        config: Says what is left out.

    Raises:
        UsageError: If no image is left.
    """
    outside = np.sort(splits.train) if config.keep_out == "val" else splits.outside_test
    if config.until < 1:  # what is tested is later, and of all groups
        among = outside if config.keep_out == "val" else np.arange(len(index))
        starts = later_starts(index, config.until)
        outside = among[~is_later(index, among, starts, config.gap)]
    asked = of_groups(index, of_classes(index, outside, config.classes), config.groups)
    return of_share(index, asked, config.share)


def _until(index: Index, pool: Positions, config: DataConfig) -> dict[str, list[float]]:
    """Returns where what was not pre-trained on begins in each group, by the group's hash."""
    if config.until == 1:
        return {}
    starts = later_starts(index, config.until)
    places = dict(zip(index.groups[pool].tolist(), pool.tolist(), strict=True))
    hashes = {group: index.group_hashes(np.array([place])) for group, place in places.items()}
    return {hashes[group].pop(): list(starts[group]) for group in places if group in starts}


def _check(setup: Setup) -> None:
    """Refuses settings that cannot be trained with, and renders the views of one image."""
    config = setup.config
    if config.train.accumulate > 1 and setup.objective.phases > 1:
        raise UsageError(
            f"'{config.objective.name}' takes {setup.objective.phases} optimizer steps for each "
            "batch, so batches cannot be accumulated. Leave out train.accumulate."
        )
    if config.train.precision == "fp16" and not torch.accelerator.is_available():
        raise UsageError("--precision fp16 needs a GPU. Choose auto, bf16 or fp32.")
    rendered = setup.view_dataset(setup.views, config.data.pair_by)[0, setup.pool[:1]]
    if rendered.error is not None:
        raise rendered.error
