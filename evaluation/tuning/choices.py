"""The images of a search, and the choices that depend on images, domain and encoder."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.dataset import Dataset
from ...core.discovery import domains, objectives
from ...core.domain import Domain
from ...core.encoder import Encoder
from ...core.errors import DataError, UsageError
from ...core.index import evenly_spaced
from ...core.objective import Objective
from ...core.view import View
from ...data.opening import DataConfig, open_dataset
from ...data.splits import Splits, split
from ...data.views import changed, distinct
from ...nn.checkpoints import options_beside
from ...nn.layers import has_batch_norm
from ...nn.weights import create_encoder
from ...training.engine import process_count
from ...training.settings import RunConfig, TrainConfig
from ...training.setup import pool_of
from .request import Request
from .space import AREA, OBJECTIVE, POLICY, SIZE, START, STATISTICS

_COMMON = ("simclr", "byol", "vicreg", "descriptors", "mae")
_LARGER = (1.5, 2.0)  # image sizes beside the default, as multiples of it
_AREAS = (None, 0.1, 0.4, 0.7)  # smallest area of a large crop; None is the objective's
_LOOKED_AT = 8  # images whose size is looked at


@dataclass(frozen=True)
class Images:
    """The images of a search.

    Attributes:
        domain: Their domain.
        dataset: All images.
        splits: The three parts.
        reason: Why validation labels do not allow to judge candidates; "" if they do.
        data: Says which of them are pre-trained on.
    """

    domain: Domain
    dataset: Dataset
    splits: Splits
    reason: str
    data: DataConfig = field(default_factory=DataConfig)

    @property
    def labeled(self) -> bool:
        """Whether validation labels allow to judge candidates."""
        return not self.reason

    @property
    def pool(self) -> Any:
        """Positions of the images that candidates are pre-trained on, sorted."""
        data = self.data.model_copy(update={"keep_out": "val"})
        return pool_of(self.dataset.index, self.splits, data)

    def of_step_and_epoch(self, loop: TrainConfig) -> tuple[int, int]:
        """Returns the numbers of images of an optimizer step and of an epoch of whole steps."""
        step = min(loop.batch_size * loop.accumulate, len(self.pool))
        return step, len(self.pool) // max(1, step) * step


def open_images_of(config: RunConfig) -> Images:
    """Opens the images, and tells whether candidates can be judged by labels.

    Raises:
        UsageError: If several processes ask for it.
        DataError: If the images cannot be read.
    """
    if process_count() > 1:
        raise UsageError("The search runs in one process. Start it without torchrun.")
    domain: Domain = domains[config.domain]
    dataset = open_dataset(domain, config.data)
    splits = split(dataset.index, config.data.holdout)
    return Images(domain, dataset, splits, _why_no_labels(dataset, splits), config.data)


def _why_no_labels(dataset: Dataset, splits: Splits) -> str:
    labels = dataset.index.labels
    train, val = labels[splits.train], labels[splits.val]
    if not (labels >= 0).any():
        kind = "no labels" if dataset.index.targets is None else "labels that are no classes"
        return f"The images have {kind}"
    if len(np.unique(train[train >= 0])) < 2 or not (val >= 0).any():
        return "The labels are too few for a training part of two classes and a validation part"
    return ""


Choices = Mapping[str, tuple[Any, ...]]
"""By key of a setting the values that are searched, the default first."""


def choices(request: Request, images: Images) -> Choices:
    """Returns what is searched where it depends on domain, encoder and images."""
    default = request.default
    policies = [p for p in images.domain.policies if p not in ("default", "upright", "eval")]
    starts = (default.encoder.init, "scratch") if request.scratch else (default.encoder.init,)
    return {
        OBJECTIVE: _objectives(request, images),
        START: tuple(dict.fromkeys(starts)),
        POLICY: ("default", *dict.fromkeys(["weak", *policies])),
        AREA: _areas(default, images),
        SIZE: _sizes(default.encoder.image_size, images.dataset),
        STATISTICS: _statistics(default, images.dataset),
    }


def fewer_objectives(found: Choices, request: Request, most: int) -> Choices:
    """Returns choices with so many objectives at most, where none were named."""
    if request.objectives:
        return found
    return {**found, OBJECTIVE: found[OBJECTIVE][:most]}


def _statistics(default: RunConfig, dataset: Dataset) -> tuple[bool, ...]:
    """Returns whether statistics of batch normalization stay those of the initial weights."""
    own = default.encoder.frozen_statistics
    other = default.encoder.init != "scratch" and has_batch_norm(encoder_of(default, dataset))
    return (own, not own) if other else (own,)


def _objectives(request: Request, images: Images) -> tuple[str, ...]:
    """Returns the default's first, then those that were named, or that suit the encoder."""
    default, named = request.default, request.objectives
    if "objective" in request.asked:
        return (default.objective.name,)
    if named:
        return tuple(dict.fromkeys((default.objective.name, *named)))
    encoder = encoder_of(default, images.dataset)
    others = [name for name in (*_COMMON, *images.domain.objectives) if _suits(name, encoder)]
    return tuple(dict.fromkeys((default.objective.name, *others)))


def _suits(name: str, encoder: Encoder) -> bool:
    if name not in objectives:
        return False
    kind: type[Objective] = objectives[name]
    required = any(field.is_required() for field in kind.Config.model_fields.values())
    return kind.needs <= encoder.provides and not required


def encoder_of(config: RunConfig, dataset: Dataset) -> Encoder:
    """Returns the encoder of a configuration with random weights."""
    name, init = config.encoder.name, config.encoder.init
    arguments = options_beside(init, name) | config.encoder.arguments
    return create_encoder(name, len(dataset.channels), config.encoder.image_size, **arguments)


def _areas(default: RunConfig, images: Images) -> tuple[float | None, ...]:
    """Returns smallest areas of crops that give different views; domains may show more anyway."""
    view, policy = View(default.encoder.image_size), default.views.policy
    areas = (default.views.min_area, *_AREAS)
    views = {area: changed(view, policy, area) for area in areas}
    kept = distinct([*views.values()], images.domain.policies, images.dataset)
    return tuple(area for area, each in views.items() if each in kept)


def _sizes(size: int, dataset: Dataset) -> tuple[int, ...]:
    """Returns the default image size, and larger ones that the images have the pixels for."""
    sides = []
    for i in evenly_spaced(len(dataset), _LOOKED_AT).tolist():
        with suppress(DataError):
            sides.append(max(dataset[i].image.shape[:2]))
    largest = float(np.median(sides)) if sides else size
    larger = [round(size * factor / 16) * 16 for factor in _LARGER]
    return tuple(dict.fromkeys((size, *(p for p in larger if size < p <= largest))))
