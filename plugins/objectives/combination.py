"""Multi-task training of one encoder: a weighted sum of the losses of several objectives.

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
Weight = Annotated[float, Field(gt=0, description="weight of this objective's loss")]


def parse_part(name: str, options: Mapping[str, Any]) -> Any:
    """Validates the options of one of the combined objectives.

    Args:
        name: Name of the objective.
        options: Options of the objective, and optionally `weight`.

    Returns:
        The configuration of the objective, with a `weight`, 1 by default.

    Raises:
        UsageError: If the name or an option is unknown, a value is invalid, or the objective has an
            option of that name itself.
    """
    base: type[Config] = objectives[name].Config
    if "weight" in base.model_fields:
        raise UsageError(
            f"The objective '{name}' has an option 'weight' of its own, and cannot be combined."
        )
    model = create_model(base.__name__, __base__=base, weight=(Weight, 1.0))
    return validate(model, options, f"objective.parts.{name}")


def _resolve(parts: Parts) -> dict[str, dict[str, Any]]:
    configs = {name: parse_part(name, options) for name, options in parts.items()}
    return {name: config.model_dump(exclude_none=True) for name, config in configs.items()}


class CombinationConfig(Config):
    """Settings of the run that a combined objective changes by default are not applied."""

    parts: Annotated[
        dict[str, dict[str, Any]],
        AfterValidator(_resolve),
        Field(
            default_factory=dict,
            description="options and weight of each objective, by name",
            json_schema_extra={"options_of": "objectives", "besides": ["weight"]},
        ),
    ]


class Combination(Objective):
    """Multi-task learning: objectives with their own heads, teachers and views share the encoder.

    https://arxiv.org/abs/1708.07860. The loss is sum_k w_k L_k over the objectives k. In phases
    that one objective has alone its weight hardly matters: an adaptive optimizer's step does not
    depend on the scale of the loss.
    """

    paper = "https://arxiv.org/abs/1708.07860"
    Config = CombinationConfig
    example: ClassVar = {"parts": {"simclr": {"weight": 1.0}, "rotation": {"weight": 0.5}}}

    def __init__(self, encoder: Encoder, config: CombinationConfig) -> None:
        super().__init__(encoder, config)
        if not config.parts:
            raise UsageError(
                "Which objectives are to be combined? Set objective.parts.NAME.weight=1 for each."
            )
        for name in config.parts:
            check_needs(encoder, name, objectives[name].needs)
            encoder.pool_from(objectives[name].trains)  # before any part copies the encoder
        self.parts = nn.ModuleDict()
        for name, options in config.parts.items():
            self.parts[name] = objectives[name](encoder, parse_part(name, options))
        self.needs = frozenset[str]().union(*(part.needs for _, part in self._named()))  # type: ignore[misc]
        self.phases = max(part.phases for _, part in self._named())

    def _named(self) -> Iterator[tuple[str, Objective]]:
        return cast(Iterator[tuple[str, Objective]], iter(self.parts.items()))

    @classmethod
    def views(cls, config: CombinationConfig, size: int) -> tuple[View, ...]:
        """The views of all combined objectives, one objective after the other."""
        kinds = [(objectives[name], parse_part(name, o)) for name, o in config.parts.items()]
        return tuple(view for kind, part in kinds for view in kind.views(part, size))

    def _shares(self, batch: Batch) -> Iterator[tuple[str, Objective, Batch]]:
        """Yields each objective with a batch of the views that it asked for."""
        size = self.encoder.image_size
        counts = [len(part.views(part.config, size)) for _, part in self._named()]
        bounds = pairwise(accumulate(counts, initial=0))
        for (name, part), (start, end) in zip(self._named(), bounds, strict=True):
            views, frames = batch.views[start:end], batch.frames[start:end]
            share = replace(batch, views=views, frames=frames)
            if start % 2 and batch.partner_positions is not None:  # odd views show the partners
                own, partners = batch.positions, batch.partner_positions
                share = replace(share, positions=partners, partner_positions=own)
            yield name, part, share

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the weighted sum over the objectives that have this phase."""
        losses, metrics = [], dict[str, Tensor]()
        for name, part, share in self._shares(batch):
            if phase < part.phases:
                output: Output = part(share, phase)
                losses.append(part.config.weight * output.loss)
                values = {"loss": output.loss.detach(), **output.metrics}
                metrics |= {f"{name}_{key}": value for key, value in values.items()}
        return Output(torch.stack(losses).sum(), metrics)

    def project(self, features: Tensor) -> Tensor | None:
        """Returns the projections of the first objective that has any."""
        projections = (part.project(features) for _, part in self._named())
        return next((z for z in projections if z is not None), None)

    def prepare(self, training: TrainingInfo) -> None:
        """Prepares every objective."""
        for _, part in self._named():
            part.prepare(training)

    def after_step(self, step: int, steps: int) -> None:
        """Updates teachers and schedules of every objective."""
        for _, part in self._named():
            part.after_step(step, steps)
