"""Settings of a run that change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..data.opening import DataConfig, partners_of
from ..data.views import changed, distinct
from ..nn.layers import has_batch_norm
from .layers import flatten
from .setup import Setup, pool_of


def idle_settings(setup: Setup, asked: Mapping[str, Any]) -> dict[str, str]:
    """Returns the settings that were asked for, differ from their defaults, and change nothing.

    Args:
        setup: The parts of a run.
        asked: Nested settings of the user; others are defaults of the domain or the objective.

    Returns:
        The reason, a sentence, by the setting, such as "views.min_area = 0.1".
    """
    given = flatten(asked)
    idle = (*_of_views(setup), *_of_data(setup), *_of_training(setup))
    values = flatten(setup.config.model_dump(exclude_defaults=True))
    return {f"{k} = {values[k]}": why for k, why in idle if k in given and k in values}


def _of_views(setup: Setup) -> Iterator[tuple[str, str]]:
    asked, size = setup.config.views, setup.config.encoder.image_size
    for key in asked.model_dump(exclude_defaults=True):
        without = asked.model_copy(update={key: type(asked).model_fields[key].default})
        requests = setup.objective.views(setup.objective.config, size)
        others = [changed(view, without.policy, without.min_area) for view in requests]
        pairs = {*zip(setup.views, others, strict=True)}
        if all(len(distinct(p, setup.domain.policies, setup.dataset)) == 1 for p in pairs):
            yield (
                f"views.{key}",
                "The domain shows these images in the same way without it, or the objective asks "
                "for views of its own.",
            )


def _of_data(setup: Setup) -> Iterator[tuple[str, str]]:
    data, index = setup.config.data, setup.dataset.index
    if data.pair_by and len(setup.views) == 1:
        name = setup.config.objective.name
        yield (
            "data.pair_by",
            f"The objective '{name}' uses one view of an image, and a partner is shown in the "
            "second one.",
        )
    elif data.pair_by and not _has_partners(setup):
        yield "data.pair_by", "None of the images to train on has a partner other than itself."
    if data.until == 1:
        yield "data.gap", "It is read only where data.until is less than 1."
    for key in ("share", "keep_out"):
        usual = data.model_copy(update={key: DataConfig.model_fields[key].default})
        if usual != data and np.array_equal(pool_of(index, setup.splits, usual), setup.pool):
            yield f"data.{key}", "The images to train on are the same without it."


def _has_partners(setup: Setup) -> bool:
    """Tells whether an image to train on is paired with another one to train on."""
    partners = partners_of(setup.domain, setup.dataset, setup.config.data.pair_by)
    if partners is None:
        return False
    within, pool = partners.within(setup.pool), setup.pool
    starts, counts = within.starts[pool], (within.stops - within.starts)[pool]
    single = counts == 1
    others = within.members[starts[single]] != pool[single]
    return bool((counts > 1).any() or others.any())


def _of_training(setup: Setup) -> Iterator[tuple[str, str]]:
    if setup.config.optimizer.name == "adamw":
        yield "optimizer.momentum", "The optimizer adamw does not read it."
    if not has_batch_norm(setup.encoder):
        name = setup.config.encoder.name
        yield "encoder.frozen_statistics", f"The encoder '{name}' has no batch normalization."
