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
from ...data.counting import plural
from ...data.earlier import open_like
from ...data.opening import DataConfig
from ...data.splits import Splits, split
from ...data.views import changed, distinct
from ...nn.checkpoints import facts_beside
from ...nn.image_size import patch_size
from ...nn.layers import has_batch_norm
from ...training.engine import process_count
from ...training.manifest import seen_by_weights
from ...training.seen import seen_in
from ...training.settings import RunConfig, TrainConfig
from ...training.setup import initial_encoder, pool_of
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
        seen: How many groups of the validation and of the test part the initial weights saw.
    """

    domain: Domain
    dataset: Dataset
    splits: Splits
    reason: str
    data: DataConfig = field(default_factory=DataConfig)
    seen: tuple[int, int] = (0, 0)

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


def open_images_of(config: RunConfig, init: str) -> Images:
    """Opens the images as runs from some weights do, and tells whether labels can judge them.

    Args:
        config: Of the default.
        init: The initial weights, whose value ranges are kept.

    Raises:
        UsageError: If several processes ask for it.
        DataError: If the images cannot be read.
    """
    if process_count() > 1:
        raise UsageError("The search runs in one process. Start it without torchrun.")
    domain: Domain = domains[config.domain]
    dataset = open_like(domain, config.data, facts_beside(init), init).dataset
    splits = split(dataset.index, config.data.holdout)
    reason, seen = _why_no_labels(dataset, splits), _seen_groups(init, dataset, splits)
    return Images(domain, dataset, splits, reason, config.data, seen)


def _why_no_labels(dataset: Dataset, splits: Splits) -> str:
    labels = dataset.index.labels
    train, val = labels[splits.train], labels[splits.val]
    groups = dataset.index.groups[splits.val][val >= 0]
    if not (labels >= 0).any():
        kind = "no labels" if dataset.index.targets is None else "labels that are no classes"
        return f"The images have {kind}"
    if min(len(np.unique(part[part >= 0])) for part in (train, val)) < 2:
        return "The labels are too few for a training and a validation part of two classes each"
    if len(np.unique(groups)) < 2:
        return "The labeled images of the validation part are of one group"
    return ""


def _seen_groups(init: str, dataset: Dataset, splits: Splits) -> tuple[int, int]:
    index, parts = dataset.index, seen_by_weights(init)
    seen = {group for part in parts for group in seen_in(part, index, dataset.path).groups}
    val, test = (len(seen & index.group_hashes(p)) for p in (splits.val, splits.test))
    return val, test


def warnings_of_seen(images: Images) -> list[str]:
    """Returns warnings of weights that were trained on images that this search leaves out."""
    (val, test), found = images.seen, []
    if val and images.labeled:
        found.append(
            f"Warning: the initial weights were trained on {plural(val, 'group')} of the "
            "validation part, which flatters all candidates that start from them. Start from "
            "weights that were trained with --set data.keep_out=val."
        )
    if test:
        found.append(
            f"Warning: the initial weights were trained on {plural(test, 'group')} of the test "
            "part, so that evaluations of what is found here will be refused. Start from weights "
            "that have not seen the test part."
        )
    return found


Choices = Mapping[str, tuple[Any, ...]]
"""By key of a setting the values that are searched, the default first."""


def choices(request: Request, images: Images) -> Choices:
    """Returns what is searched where it depends on domain, encoder and images."""
    default = request.default
    policies = [p for p in images.domain.policies if p not in ("default", "upright", "eval")]
    size = default.encoder.image_size
    starts = (default.encoder.init, "scratch") if request.scratch else (default.encoder.init,)
    return {
        OBJECTIVE: _objectives(request, images),
        START: tuple(dict.fromkeys(starts)),
        POLICY: ("default", *dict.fromkeys(["weak", *policies])),
        AREA: _areas(default, images),
        SIZE: _sizes(default, images.dataset) if images.labeled else (size,),
        STATISTICS: _statistics(default, images.dataset),
    }


def searched(request: Request, images: Images) -> tuple[str, ...]:
    """Returns the keys of what is searched, () for everything.

    Without labels this is the objective, because view retrieval tells too little of other settings
    (docs/label_free.md), unless it is trusted. Larger images have views that are easier to find.

    Raises:
        UsageError: If nothing can be searched without labels.
    """
    if images.labeled or request.trust:
        return ()
    fixed = "objective" in request.asked
    if fixed or request.scratch:
        what = "the objective is fixed" if fixed else "--scratch compares starts"
        raise UsageError(
            f"{images.reason}. Without labels only objectives can be compared, and {what}. Give "
            "labels, or --trust-label-free to compare everything by view retrieval."
        )
    return (OBJECTIVE,)


def fewer_objectives(found: Choices, request: Request, most: int) -> Choices:
    """Returns choices with so many objectives at most, where none were named."""
    if request.objectives:
        return found
    return {**found, OBJECTIVE: found[OBJECTIVE][:most]}


def _statistics(default: RunConfig, dataset: Dataset) -> tuple[bool, ...]:
    """Returns whether statistics of batch normalization stay those of the initial weights."""
    own = default.encoder.frozen_statistics
    other = default.encoder.init != "scratch" and has_batch_norm(
        initial_encoder(default.encoder, len(dataset.channels))
    )
    return (own, not own) if other else (own,)


def _objectives(request: Request, images: Images) -> tuple[str, ...]:
    """Returns the default's first, then those that were named, or that suit the encoder."""
    default, named = request.default, request.objectives
    if "objective" in request.asked:
        return (default.objective.name,)
    if named:
        return tuple(dict.fromkeys((default.objective.name, *named)))
    encoder = initial_encoder(default.encoder, len(images.dataset.channels))
    others = [name for name in (*_COMMON, *images.domain.objectives) if _suits(name, encoder)]
    return tuple(dict.fromkeys((default.objective.name, *others)))


def _suits(name: str, encoder: Encoder) -> bool:
    if name not in objectives:
        return False
    kind: type[Objective] = objectives[name]
    required = any(field.is_required() for field in kind.Config.model_fields.values())
    return kind.needs <= encoder.provides and not required


def _areas(default: RunConfig, images: Images) -> tuple[float | None, ...]:
    """Returns smallest areas of crops that give different views; domains may show more anyway."""
    view, policy = View(default.encoder.image_size), default.views.policy
    areas = (default.views.min_area, *_AREAS)
    views = {area: changed(view, policy, area) for area in areas}
    kept = distinct([*views.values()], images.domain.policies, images.dataset)
    return tuple(area for area, each in views.items() if each in kept)


def _sizes(default: RunConfig, dataset: Dataset) -> tuple[int, ...]:
    """Returns the default image size, and larger ones that the images have the pixels for.

    Larger ones are multiples of 16, and of the encoder's patch if that does not divide 16.
    """
    size, sides = default.encoder.image_size, []
    patch = patch_size(initial_encoder(default.encoder, len(dataset.channels)).body)
    unit = patch if 16 % patch else 16
    for i in evenly_spaced(len(dataset), _LOOKED_AT).tolist():
        with suppress(DataError):
            sides.append(max(dataset[i].image.shape[:2]))
    largest = float(np.median(sides)) if sides else size
    larger = [round(size * factor / unit) * unit for factor in _LARGER]
    return tuple(dict.fromkeys((size, *(p for p in larger if size < p <= largest))))
