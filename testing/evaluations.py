"""What every evaluation must keep to."""

from __future__ import annotations

import numpy as np

from ssl_kit.core.config import DataConfig
from ssl_kit.core.discovery import domains
from ssl_kit.core.evaluation import Evaluation, EvaluationData
from ssl_kit.core.pretrained import from_init
from ssl_kit.core.setup import open_dataset
from ssl_kit.core.splits import split

from .kit import require

Kind = type[Evaluation]


def declares_itself(kind: Kind) -> None:
    """It is an Evaluation with a docstring and documented options."""
    require(issubclass(kind, Evaluation), f"{kind} is no subclass of ssl_kit.Evaluation")
    require(bool((kind.__doc__ or "").strip()), "the class has no docstring")
    bare = [name for name, f in kind.Config.model_fields.items() if not f.description]
    require(not bare, f"options without Field(description=...): {', '.join(bare)}")


def estimates_are_sound(kind: Kind) -> None:
    """On a small demo it gives the same finite estimates twice, each inside its interval."""
    domain = domains["natural"]
    dataset = open_dataset(domain, DataConfig())
    splits = split(dataset.index, 0.2)
    model = from_init("scratch", "test_resnet", 16, dataset, splits.train)
    data = EvaluationData(dataset, splits, domain, workers=0)
    first, second = (kind(kind.Config()).evaluate(model, data) for _ in range(2))
    require(bool(first.metrics), "there are no metrics")
    for name, estimate in first.metrics.items():
        require(np.isfinite(estimate.value), f"{name} is {estimate.value}")
        inside = estimate.low <= estimate.value <= estimate.high
        require(inside, f"{name} {estimate.value} is outside its interval")
        require(estimate == second.metrics[name], f"{name} differs the second time; seed it")


RULES = (declares_itself, estimates_are_sound)
