"""What every evaluation must keep to."""

from __future__ import annotations

import copy
from dataclasses import astuple, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from ..core.discovery import domains
from ..core.errors import UsageError
from ..data.opening import DataConfig, open_dataset
from ..data.splits import split
from ..evaluation.bootstrap import DRAWS
from ..evaluation.data import EvaluationData
from ..evaluation.evaluation import Evaluation
from ..evaluation.pretrained import Pretrained, from_init
from ..evaluation.result import Result
from .kit import require

Kind = type[Evaluation]


def declares_itself(kind: Kind) -> None:
    """It is an Evaluation with a docstring and documented options."""
    require(issubclass(kind, Evaluation), f"{kind} is no subclass of ssl_kit.Evaluation")
    require(bool((kind.__doc__ or "").strip()), "the class has no docstring")
    bare = [name for name, f in kind.Config.model_fields.items() if not f.description]
    require(not bare, f"options without Field(description=...): {', '.join(bare)}")


@cache
def _bench(grouped: bool) -> tuple[Pretrained, EvaluationData]:
    """An untrained encoder and labeled images; their features are computed once.

    Args:
        grouped: Whether images are in groups of 120 with a place in time, as those of subjects
            are, or each on its own.
    """
    domain = domains["natural"]
    dataset = open_dataset(domain, DataConfig())
    if grouped:
        n = len(dataset)
        groups = np.arange(n) // 120
        dataset.index = replace(
            dataset.index,
            groups=groups,
            group_names=np.array([b"g%d" % g for g in range(groups.max() + 1)]),
            positions=np.column_stack([groups, np.arange(n)]).astype(np.float32),
        )
    splits = split(dataset.index, 0.2)
    model = from_init("scratch", "test_resnet", 16, dataset, splits.train)
    return model, EvaluationData(dataset, splits, domain, workers=0)


@cache
def _found(kind: Kind) -> tuple[Result, bool]:
    """Evaluates on groups of images; on images alone where those are refused.

    Returns:
        What was found, and whether images were in groups.
    """
    try:
        return _evaluated(kind, True), True
    except UsageError:
        return _evaluated(kind, False), False


def _evaluated(kind: Kind, grouped: bool) -> Result:
    model, data = _bench(grouped)
    before = copy.deepcopy(model.encoder.state_dict())
    try:
        return _run(kind, model, data)
    finally:
        model.encoder.load_state_dict(before)  # the next plugin gets the same


def _run(kind: Kind, model: Pretrained, data: EvaluationData) -> Result:
    with TemporaryDirectory() as folder:
        options = {**kind.quick, **kind.example(data, Path(folder))}
        return kind(kind.Config(**options)).evaluate(model, data)


@cache
def _again(kind: Kind) -> tuple[Result, list[str]]:
    """Evaluates a copy of the encoder; also names what of its weights was changed."""
    model, data = _bench(_found(kind)[1])
    mine = copy.deepcopy(model)
    fresh = EvaluationData(data.dataset, data.splits, data.domain, workers=0)
    found = _run(kind, mine, fresh)
    before = model.encoder.state_dict()
    weights = mine.encoder.state_dict().items()
    return found, [name for name, weight in weights if not torch.equal(weight, before[name])]


def estimates_are_sound(kind: Kind) -> None:
    """On a small demo its estimates are finite, each inside its interval if it has one."""
    found, _ = _found(kind)
    require(bool(found.metrics), "there are no metrics; see Result.of_classification")
    for name, estimate in found.metrics.items():
        require(bool(np.isfinite(estimate.value)), f"{name} is {estimate.value}; is a class empty?")
        inside = np.isnan(estimate.low) or estimate.low <= estimate.value <= estimate.high
        require(
            bool(inside),
            f"{name} {estimate.value} is outside its interval [{estimate.low}, "
            f"{estimate.high}]; are both from the same images?",
        )


def arms_can_be_compared(kind: Kind) -> None:
    """Its main metric is one of its metrics and has bootstrap draws; or it has none."""
    found, _ = _found(kind)
    if found.main:
        require(found.main in found.metrics, f"the main metric '{found.main}' is not reported")
        drawn = found.draws.get(found.main, np.zeros(0))
        require(
            drawn.shape == (DRAWS,),
            f"the main metric '{found.main}' has {len(drawn)} draws; "
            "make results with Result.of_classification or Result.of_means",
        )


def estimates_are_the_same_again(kind: Kind) -> None:
    """Asked again it estimates the same."""
    first, second = _found(kind)[0], _again(kind)[0]
    for name, estimate in first.metrics.items():
        again = astuple(second.metrics[name])
        same = np.array_equal(astuple(estimate), again, equal_nan=True)
        require(same, f"{name} differs the second time; seed what is random")


def leaves_the_encoder_alone(kind: Kind) -> None:
    """The encoder's weights are what they were: the next evaluation gets the same ones."""
    _, changed = _again(kind)
    require(not changed, f"it changes '{', '.join(changed[:3])}'; fine-tune a copy.deepcopy")


RULES = (
    declares_itself,
    estimates_are_sound,
    arms_can_be_compared,
    estimates_are_the_same_again,
    leaves_the_encoder_alone,
)
