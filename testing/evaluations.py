"""The rules that every evaluation must keep."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from ..core.discovery import domains
from ..core.errors import UsageError
from ..data.opening import DataConfig, open_dataset
from ..data.process import seeded
from ..data.splits import split
from ..evaluation.data import EvaluationData
from ..evaluation.evaluation import Evaluation
from ..evaluation.pretrained import Pretrained, from_init
from ..evaluation.result import Result
from ..training.json_values import without_nan
from .kit import explaining, require

Kind = type[Evaluation]
_SEED = 987_654_321


def declares_itself(kind: Kind) -> None:
    """It is an Evaluation with a docstring and documented options."""
    require(issubclass(kind, Evaluation), f"{kind} is no subclass of ssl_kit.Evaluation")
    require(bool((kind.__doc__ or "").strip()), "the class has no docstring")
    bare = [name for name, f in kind.Config.model_fields.items() if not f.description]
    require(not bare, f"options without Field(description=...): {', '.join(bare)}")


@cache
def _bench(name: str, each: int) -> tuple[Pretrained, EvaluationData]:
    """Returns an untrained encoder and labeled images, whose features are computed once.

    Args:
        name: Of the domain whose demo they are.
        each: Number of images in a group: 120 of all classes with a time, like those of subjects;
            fewer are of one class, like those of slides.
    """
    domain = domains[name]
    dataset = open_dataset(domain, DataConfig())
    index, rank = dataset.index, np.arange(len(dataset))
    if each < 120:
        rank = np.empty_like(rank)
        rank[np.argsort(index.labels, kind="stable")] = np.arange(len(rank))
    mixed = rank // each
    groups = np.unique(
        mixed if each == 120 else mixed * len(index.classes) + index.labels, return_inverse=True
    )[1]
    dataset.index = replace(
        index,
        groups=groups,
        group_names=np.array([b"g%d" % g for g in range(groups.max() + 1)]),
        positions=np.column_stack([groups, np.arange(len(rank))]).astype(np.float32),
    )
    splits = split(dataset.index, 0.2)
    model = from_init("scratch", "test_resnet", 16, dataset, splits.train)
    return model, EvaluationData(dataset, splits, domain, workers=0)


@cache
def _first(kind: Kind) -> tuple[Result, int]:
    """Evaluates on groups of several classes, or of one class where those are refused.

    Returns:
        The result, and the number of images in a group.
    """
    try:
        return _evaluated(kind, 120), 120
    except UsageError:
        return _evaluated(kind, 20), 20


def _evaluated(kind: Kind, each: int) -> Result:
    model, data = _bench(kind.demo_domain, each)
    before = copy.deepcopy(model.encoder.state_dict())
    try:
        return _run(kind, model, data)
    finally:
        model.encoder.load_state_dict(before)  # the next plugin gets the same


def _run(kind: Kind, model: Pretrained, data: EvaluationData) -> Result:
    with TemporaryDirectory() as folder:
        options = {**kind.quick, **kind.example(data, Path(folder))}
        return kind(kind.Config(**options)).evaluate(model, data)


@dataclass(frozen=True)
class _Again:
    """A second evaluation, of a copy of the encoder.

    Attributes:
        result: Its result.
        weights: Names of the weights that it changed.
        random_states: Names of the libraries whose global random state it moved.
    """

    result: Result
    weights: list[str]
    random_states: list[str]


@cache
def _again(kind: Kind) -> _Again:
    model, data = _bench(kind.demo_domain, _first(kind)[1])
    copied = copy.deepcopy(model)
    fresh = EvaluationData(data.dataset, data.splits, data.domain, workers=0)
    with _watched_random_states() as moved:
        result = _run(kind, copied, fresh)
    before = model.encoder.state_dict()
    weights = copied.encoder.state_dict().items()
    changed = [name for name, weight in weights if not torch.equal(weight, before[name])]
    return _Again(result, changed, moved)


@contextmanager
def _watched_random_states() -> Iterator[list[str]]:
    """Yields a list that names, at the end, the libraries whose global random state was moved.

    Inside, the states are those of a seed that no plugin uses, so that seeding is noticed too.
    """
    moved: list[str] = []
    kept = random.getstate(), np.random.get_state()
    with seeded(_SEED):
        random.seed(_SEED)
        np.random.seed(_SEED)
        before = _random_states()
        try:
            yield moved
        finally:
            after = _random_states()
            moved += [name for name, state in before.items() if state != after[name]]
            random.setstate(kept[0])
            np.random.set_state(kept[1])


def _random_states() -> dict[str, str]:
    return {
        "torch": torch.get_rng_state().numpy().tobytes().hex(),
        "numpy": str([np.asarray(part).tolist() for part in np.random.get_state()]),
        "Python": repr(random.getstate()),
    }


def estimates_are_sound(kind: Kind) -> None:
    """On a small demo its estimates are finite and lie inside their intervals."""
    result, _ = _first(kind)
    require(bool(result.metrics), "there are no metrics; see Result.of_classification")
    for name, estimate in result.metrics.items():
        require(bool(np.isfinite(estimate.value)), f"{name} is {estimate.value}; is a class empty?")
        inside = np.isnan(estimate.low) or estimate.low <= estimate.value <= estimate.high
        require(
            bool(inside),
            f"{name} {estimate.value} is outside its interval [{estimate.low}, "
            f"{estimate.high}]; are both from the same images?",
        )


def arms_can_be_compared(kind: Kind) -> None:
    """Its main metric, if it has one, is one of its metrics and has intervals of differences."""
    result, _ = _first(kind)
    if result.main:
        require(result.main in result.metrics, f"the main metric '{result.main}' is not reported")
        require(
            result.main in result.jackknife,
            f"the main metric '{result.main}' is not in the result's jackknife; make results with "
            "Result.of_classification or Result.of_means",
        )
        require(result.groups > 0, "by_group of the result is empty; it tells the number of groups")


def estimates_are_the_same_again(kind: Kind) -> None:
    """A second evaluation gives the same estimates."""
    first, second = _first(kind)[0], _again(kind).result
    for name, estimate in first.metrics.items():
        again = astuple(second.metrics[name])
        same = np.array_equal(astuple(estimate), again, equal_nan=True)
        require(same, f"{name} differs the second time; seed what is random")


def results_can_be_stored(kind: Kind) -> None:
    """Its result can be written as JSON, and read again from the arrays that are kept of it."""
    result, _ = _first(kind)
    with explaining("keep plain values in rows and details: str(x), float(x) or x.tolist()"):
        json.dumps(without_nan(result.to_json()), allow_nan=False)
        restored = Result.from_arrays(result.to_arrays())
    same = restored.metrics.keys() == result.metrics.keys()
    require(same, "names of metrics are no texts; use str(name)")


def leaves_the_encoder_alone(kind: Kind) -> None:
    """The weights of the encoder are what they were before."""
    changed = _again(kind).weights
    require(not changed, f"it changes '{', '.join(changed[:3])}'; fine-tune a copy.deepcopy")


def leaves_random_states_alone(kind: Kind) -> None:
    """The global random states of torch, numpy and Python are what they were before."""
    moved = _again(kind).random_states
    require(
        not moved,
        f"it moves the global random state of {', '.join(moved)}; draw from a "
        "generator, or inside of ssl_kit.evaluation.seeded",
    )


RULES = (
    declares_itself,
    estimates_are_sound,
    arms_can_be_compared,
    estimates_are_the_same_again,
    results_can_be_stored,
    leaves_the_encoder_alone,
    leaves_random_states_alone,
)
