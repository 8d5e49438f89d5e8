"""The settings that are searched, and how a candidate becomes settings of a run."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...training.layers import expand, merge
from ...training.settings import RunConfig
from ...training.setup import arguments_of, resolve

OBJECTIVE, START, SIZE, POLICY, AREA, STATISTICS = (
    "objective.name",
    "encoder.init",
    "encoder.image_size",
    "views.policy",
    "views.min_area",
    "encoder.frozen_statistics",
)
_SPANS = {"optimizer.lr": (1 / 32, 4.0), "optimizer.weight_decay": (0.1, 10.0)}
_OF_WEIGHTS: Mapping[str, tuple[Any, ...]] = {
    "optimizer.layer_decay": (0.65, 0.8, 0.9),
    "optimizer.anchor": (0.1, 1.0, 10.0),
}
"""Choices beside the default of settings that only make sense for pre-trained weights."""
_NOT_FROM_SCRATCH = {*_OF_WEIGHTS, STATISTICS}

Params = Mapping[str, Any]
"""A candidate: by key, a choice, or the factor that multiplies the default of a number."""


@dataclass(frozen=True)
class Dimension:
    """A setting that is searched.

    Attributes:
        key: Dotted key of the setting.
        choices: Its values, the default first; empty for a number.
        span: Smallest and largest factor of the default of a number, on a logarithmic scale.
    """

    key: str
    choices: tuple[Any, ...] = ()
    span: tuple[float, float] = (1.0, 1.0)

    @property
    def default(self) -> Any:
        """The choice or factor that leaves the default as it is."""
        return self.choices[0] if self.choices else 1.0


@dataclass(frozen=True)
class Space:
    """All settings that are searched.

    Attributes:
        asked: Nested settings that every candidate has.
        dimensions: What is searched.
    """

    asked: Mapping[str, Any]
    dimensions: tuple[Dimension, ...]

    @classmethod
    def around(
        cls,
        asked: Mapping[str, Any],
        choices: Mapping[str, Sequence[Any]],
        only: Collection[str] = (),
    ) -> Space:
        """Makes the space around the default; what the user has set is not searched.

        Initial weights are: random ones are asked for beside those that are set.

        Args:
            asked: Nested settings of the user.
            choices: Choices that depend on domain, encoder and images, by key, the default first.
            only: Keys of what is searched; everything if empty.
        """
        default, values = resolve(asked), dict(choices)
        for key, others in _of_weights(default):
            if (own := value_at(default.model_dump(), key, missing=_NONE)) is not _NONE:
                values[key] = tuple(dict.fromkeys((own, *others)))
        dimensions = [Dimension(k, tuple(v)) for k, v in values.items() if len(v) > 1]
        dimensions += [Dimension(key, span=span) for key, span in _SPANS.items()]
        free = tuple(d for d in dimensions if d.key == START or not _is_set(asked, d.key))
        return cls(asked, tuple(d for d in free if not only or d.key in only))

    @property
    def size(self) -> float:
        """Number of candidates; infinite if a number is searched."""
        return math.prod(len(d.choices) or math.inf for d in self.dimensions)

    @cached_property
    def default(self) -> dict[str, Any]:
        """The candidate that changes nothing."""
        return {dimension.key: dimension.default for dimension in self.dimensions}

    def settings(self, params: Params) -> dict[str, Any]:
        """Returns the nested settings of a candidate, the user's included.

        Raises:
            UsageError: If they do not fit together.
        """
        keys = {d.key: d for d in self.dimensions}
        chosen = {k: v for k, v in params.items() if keys[k].choices and v is not None}
        if chosen.get(START) == "scratch":
            others = {k: v for k, v in chosen.items() if k not in _NOT_FROM_SCRATCH}
            chosen = self._from_scratch | others
        layer = merge(self.asked, expand(chosen))
        below = resolve(layer).model_dump()
        numbers = {k: v * value_at(below, k) for k, v in params.items() if not keys[k].choices}
        return merge(layer, expand({k: float(f"{v:.3g}") for k, v in numbers.items()}))

    @cached_property
    def _from_scratch(self) -> dict[str, Any]:
        """What random weights share with the default, whose own defaults may be others."""
        default = resolve(self.asked)
        objective = {} if "objective" in self.asked else {OBJECTIVE: default.objective.name}
        return {
            "encoder.name": default.encoder.name,
            "encoder.arguments": arguments_of(default.encoder),
            SIZE: default.encoder.image_size,
            **objective,
        }

    def config(self, params: Params) -> RunConfig:
        """Returns the configuration of a candidate."""
        return resolve(self.settings(params))


_NONE = object()


def _of_weights(default: RunConfig) -> list[tuple[str, tuple[Any, ...]]]:
    return [] if default.encoder.init == "scratch" else [*_OF_WEIGHTS.items()]


def value_at(values: Mapping[str, Any], key: str, missing: Any = None) -> Any:
    """Returns a nested value by its dotted key."""
    for part in key.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return missing
        values = values[part]
    return values


def _is_set(asked: Mapping[str, Any], key: str) -> bool:
    """Tells whether the user has set a key; options of an objective fix the objective."""
    if key == OBJECTIVE:
        return "objective" in asked
    return value_at(asked, key, missing=_NONE) is not _NONE
