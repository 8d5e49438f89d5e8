"""The rule that what is trained is what is used, with encoders of several kinds."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

from ..core.discovery import encoders
from ..core.encoder import Encoder
from ..core.errors import UsageError
from ..core.objective import Batch, Objective, TrainingInfo
from ..nn.coverage import uncovered
from ..nn.weights import DEFAULT_FAMILY
from .kit import require
from .toy import IMAGES, SIZE, Kind, batch_for, config_of


def features_are_trained(kind: Kind) -> str:
    """All that the features depend on is trained, with encoders of several kinds."""
    refused = []
    for encoder in _examples(kind):
        try:
            objective = _started(kind, encoder)
        except UsageError:
            refused.append(encoder.name)
            continue
        part = _untrained(objective, batch_for(objective))
        require(
            not part,
            f"the features of '{encoder.name}' depend on '{part}', which gets no gradient (for "
            "each position at least once); set `trains` to what the loss is computed from",
        )
    return f"refuses {', '.join(refused)}" if refused else ""


def _examples(kind: Kind) -> Iterator[Encoder]:
    """Yields encoders that have what an objective needs: a CNN, and ViTs of different poolings.

    Those of other families keep a rule of their own, on what each part of them depends on.
    """
    for encoder in _built(encoders[DEFAULT_FAMILY]):
        if kind.needs <= encoder.provides:
            yield copy.deepcopy(encoder)


@cache
def _built(family: type[Encoder]) -> list[Encoder]:
    """Builds the examples of a family once for all objectives."""
    torch.manual_seed(0)
    examples = [family(architecture, 3, SIZE) for architecture in family.example]
    return [e for e in examples if "map" not in e.provides or e.pyramid_shapes(SIZE)[0][1] > 1]


def _started(kind: Kind, encoder: Encoder) -> Objective:
    """Returns an objective none of whose layers is zero, as some are at initialization."""
    objective = kind(encoder, config_of(kind))
    objective.prepare(TrainingInfo(IMAGES, 4, (0.5,) * 3, (0.25,) * 3))
    with torch.no_grad():
        for parameter in objective.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=1e-3)
    return objective


def _untrained(objective: Objective, batch: Batch) -> str:
    """Names what the features depend on and the loss does not, "" if there is nothing."""
    encoder, x = objective.encoder, batch.views[0]

    def loss() -> Tensor:
        phases = range(objective.phases)
        return torch.stack([objective(batch, phase).loss for phase in phases]).sum()

    prefix = encoder.num_prefix_tokens if "tokens" in encoder.provides else None
    return uncovered(encoder.body, lambda: encoder(x), loss, prefix)
