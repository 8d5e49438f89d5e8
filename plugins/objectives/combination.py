"""Trains one encoder with several objectives at once: a weighted sum of their losses.

Multi-task Self-Supervised Visual Learning,
Doersch, Zisserman, 2017. https://arxiv.org/abs/1708.07860
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Annotated, Any, ClassVar, cast

import torch
from pydantic import AfterValidator, Field, create_model
from torch import Tensor, nn

from ... import Batch, Config, Encoder, Objective, Output, TrainingInfo, UsageError, View, validate
from ...nn import check_needs, objectives

Parts = Mapping[str, Mapping[str, Any]]
Weight = Annotated[float, Field(gt=0, description="of this part's loss")]


def parse_part(name: str, options: Mapping[str, Any]) -> Any:
    """Checks the options of a part.

    Args:
        name: Of an objective.
        options: Its own, and `weight`, 1 if left out.

    Returns:
        The objective's own configuration, with a `weight`.

    Raises:
        UsageError: At an unknown name or option, or a wrong value.
    """
    base: type[Config] = objectives[name].Config
    model = create_model(base.__name__, __base__=base, weight=(Weight, 1.0))
    return validate(model, options, f"objective.parts.{name}")


def _resolve(parts: Parts) -> dict[str, dict[str, Any]]:
    found = {name: parse_part(name, options) for name, options in parts.items()}
    return {name: config.model_dump(exclude_none=True) for name, config in found.items()}


class CombinationConfig(Config):
    """The run's settings that a part would like changed are not: set them for all together."""

    parts: Annotated[
        dict[str, dict[str, Any]],
        AfterValidator(_resolve),
        Field(default_factory=dict, description="of each objective by name: its options, weight"),
    ]


class Combination(Objective):
    """Objectives that share the encoder; each has its own heads, teachers and views."""

    paper = "https://arxiv.org/abs/1708.07860"
    Config = CombinationConfig
    example: ClassVar = {"parts": {"simclr": {"weight": 1.0}, "rotation": {"weight": 0.5}}}

    def __init__(self, encoder: Encoder, config: CombinationConfig) -> None:
        super().__init__(encoder, config)
        if not config.parts:
            raise UsageError(
                "Which objectives are to be combined? Set objective.parts.NAME.weight=1 for each."
            )
        self.parts = nn.ModuleDict()
        for name, options in config.parts.items():
            kind: type[Objective] = objectives[name]
            check_needs(encoder, name, kind.needs)
            self.parts[name] = kind(encoder, parse_part(name, options))
        self.needs = frozenset[str]().union(*(part.needs for _, part in self._named()))  # type: ignore[misc]
        self.phases = max(part.phases for _, part in self._named())

    def _named(self) -> Iterator[tuple[str, Objective]]:
        return cast(Iterator[tuple[str, Objective]], iter(self.parts.items()))

    @classmethod
    def views(cls, config: CombinationConfig, size: int) -> tuple[View, ...]:
        """The views of all parts, one part after the other."""
        kinds = [(objectives[name], parse_part(name, o)) for name, o in config.parts.items()]
        return tuple(view for kind, own in kinds for view in kind.views(own, size))

    def _shares(self, batch: Batch) -> Iterator[tuple[str, Objective, Batch]]:
        """Yields each part with the batch as it alone would get it."""
        size = self.encoder.image_size
        counts = [len(part.views(part.config, size)) for _, part in self._named()]
        bounds = pairwise(accumulate(counts, initial=0))
        for (name, part), (start, end) in zip(self._named(), bounds, strict=True):
            own = replace(batch, views=batch.views[start:end], frames=batch.frames[start:end])
            yield name, part, own

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """The weighted sum over the parts that take a step in this phase."""
        losses, metrics = [], dict[str, Tensor]()
        for name, part, own in self._shares(batch):
            if phase < part.phases:
                output: Output = part(own, phase)
                losses.append(part.config.weight * output.loss)
                found = {"loss": output.loss.detach(), **output.metrics}
                metrics |= {f"{name}_{key}": value for key, value in found.items()}
        return Output(torch.stack(losses).sum(), metrics)

    def project(self, features: Tensor) -> Tensor | None:
        """The projections of the first part that has any."""
        found = (part.project(features) for _, part in self._named())
        return next((z for z in found if z is not None), None)

    def prepare(self, training: TrainingInfo) -> None:
        """Prepares every part."""
        for _, part in self._named():
            part.prepare(training)

    def after_step(self, step: int, steps: int) -> None:
        """Lets every part move its teacher."""
        for _, part in self._named():
            part.after_step(step, steps)
