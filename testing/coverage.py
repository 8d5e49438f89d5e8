"""The rule that what is trained is what is used, with encoders of several kinds."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..core.discovery import encoders
from ..core.encoder import Encoder
from ..core.errors import UsageError
from ..core.objective import Batch, Objective, TrainingInfo
from ..nn.coverage import uncovered
from ..nn.weights import DEFAULT_FAMILY
from .kit import require
from .toy import IMAGES, SIZE, Kind, batch_for, config_of, optimizer_for, step


def features_are_trained(kind: Kind) -> str:
    """All that the features depend on is trained, with encoders of several kinds."""
    refused = []
    for encoder in _examples(kind):
        try:
            objective, batch = _trained(kind, encoder)
        except UsageError:
            refused.append(encoder.name)
            continue
        part = _untrained(objective, batch)
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
    family = encoders[DEFAULT_FAMILY]
    for architecture in family.example:
        torch.manual_seed(0)
        encoder: Encoder = family(architecture, 3, SIZE)
        square = "map" not in encoder.provides or encoder.pyramid_shapes(SIZE)[0][1] > 1
        if square and kind.needs <= encoder.provides:
            yield encoder


def _trained(kind: Kind, encoder: Encoder) -> tuple[Objective, Batch]:
    """Takes a step, after which layers that are zero at initialization no longer are."""
    objective = kind(encoder, config_of(kind))
    objective.prepare(TrainingInfo(IMAGES, 4, (0.5,) * 3, (0.25,) * 3))
    batch = batch_for(objective)
    step(objective, batch, optimizer_for(objective), 1)
    return objective, batch


def _untrained(objective: Objective, batch: Batch) -> str:
    """Names what the features depend on and the loss does not, "" if there is nothing."""
    encoder, x = objective.encoder, batch.views[0]

    def loss() -> Tensor:
        phases = range(objective.phases)
        return torch.stack([objective(batch, phase).loss for phase in phases]).sum()

    prefix = encoder.num_prefix_tokens if "tokens" in encoder.provides else None
    return uncovered(encoder.body, lambda: encoder(x), loss, prefix)
