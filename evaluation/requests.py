"""What an evaluation is asked for by name: the encoder, the labeled images, the evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.config import validate
from ..core.dataset import Dataset
from ..core.discovery import domains, evaluations
from ..core.domain import Domain
from ..core.errors import UsageError, did_you_mean
from ..data.opening import DataConfig, open_dataset
from ..data.splits import split
from ..training.run import Run
from ..training.settings import merge, parse_set
from .data import EvaluationData
from .evaluation import Evaluation
from .leakage import refuse_overlap
from .pretrained import Pretrained, from_init, from_run


def run_of(what: str) -> Run | None:
    """Returns the run if a folder is meant, None for initial weights."""
    return Run(Path(what)) if what and Path(what).is_dir() else None


def load_encoder(
    what: str, data: Dataset, pool: Any, encoder: str, image_size: int
) -> tuple[Pretrained, Run | None]:
    """Loads a run's encoder, or makes one with initial weights.

    Args:
        what: A run folder, "scratch", "imagenet" or a weights file.
        data: The images it will see.
        pool: Positions that statistics may be measured on.
        encoder: Architecture, where `what` is no run.
        image_size: Pixels; 0 is the run's.
    """
    run = run_of(what)
    if run:
        model = from_run(run)
        return replace(model, image_size=image_size or model.image_size), run
    return from_init(what, encoder, image_size or 64, data, pool), None


def open_images(
    what: str,
    domain: str,
    data: str,
    labels: str,
    holdout: float | None = None,
    assignments: Sequence[str] = (),
) -> tuple[Domain, Dataset, DataConfig]:
    """Opens the images for a command: a run's own unless others are named.

    Args:
        what: A run folder or anything else.
        domain: Its name; that of the run if empty.
        data: Path; that of the run if empty.
        labels: CSV.
        holdout: Share of groups for testing; that of the run if None.
        assignments: Those of "data.*" are settings of the images as `train` takes them.
    """
    asked: dict[str, Any] = {"path": data, "labels": labels} if data or labels else {}
    value_range, below = None, DataConfig()
    run = run_of(what)
    if run:
        below, domain = run.config.data, domain or run.config.domain
        value_range = run.read_json("encoder.json")["value_range"]
        if data:
            below = below.model_copy(update={"labels": ""})
    if holdout is not None:
        asked["holdout"] = holdout
    if not domain:
        raise UsageError("Give --domain; 'ssl-kit domains' lists them.")
    said = {"data": {k: v for k, v in asked.items() if v != ""}}
    layers = merge({"data": below.model_dump()}, said, *map(parse_set, assignments))
    config = validate(DataConfig, layers["data"], "data")
    kind: Domain = domains[domain]
    return kind, open_dataset(kind, config, value_range), config


def choose(names: Sequence[str], assignments: Sequence[str] = ()) -> dict[str, Evaluation]:
    """Makes evaluations with the options that were set.

    Args:
        names: Of the evaluations.
        assignments: Such as "knn.k=10", each for one of them; "data.*" is for `open_images`.

    Raises:
        UsageError: If an option is for none of them, unknown or wrong.
    """
    options = merge(*map(parse_set, assignments))
    options.pop("data", None)
    stray = sorted(set(options) - set(names))
    if stray:
        raise UsageError(
            f"'{stray[0]}' is not among the evaluations asked for. "
            f"{did_you_mean(stray[0], names)} An option is set like "
            f"{names[0]}.NAME=VALUE; see 'ssl-kit evaluations {names[0]}'."
        )
    chosen: dict[str, Evaluation] = {}
    for name in names:
        kind: type[Evaluation] = evaluations[name]
        given = options.get(name, {})
        if not isinstance(given, Mapping):
            raise UsageError(f"--set {name}=... sets no option; write {name}.OPTION=VALUE.")
        chosen[name] = kind(validate(kind.Config, given, name))
    return chosen


@dataclass(frozen=True)
class Judged:
    """An encoder and the labeled images that it is to be judged on.

    Attributes:
        model: With its weights.
        run: Where it comes from; None for initial weights.
        data: In three parts.
        path: Of the images.
        shared: Number of test groups that were pre-trained on.
    """

    model: Pretrained
    run: Run | None
    data: EvaluationData
    path: str
    shared: int


def judged(
    what: str,
    *,
    domain: str = "",
    data: str = "",
    labels: str = "",
    encoder: str = "resnet18",
    image_size: int = 0,
    holdout: float | None = None,
    allow_overlap: bool = False,
    features: Path | None = None,
    evaluations: Iterable[Evaluation] = (),
    assignments: Sequence[str] = (),
) -> Judged:
    """Loads an encoder and labeled images for it.

    Args:
        what: A run folder, "scratch", "imagenet" or a weights file.
        domain: Of the images; the run's if empty.
        data: Path of labeled images; the run's if empty.
        labels: CSV.
        encoder: Architecture, where `what` is no run.
        image_size: Pixels; 0 is the run's, or 64.
        holdout: Share of groups to test on where no split is declared; the run's if None.
        allow_overlap: Accept test groups that were pre-trained on.
        features: Folder that features of labeled images are kept in.
        evaluations: What will be run, since it may report on more than the test part.
        assignments: Settings of the images; see `open_images`.

    Raises:
        UsageError: If test groups were pre-trained on and that was not allowed.
    """
    field, dataset, config = open_images(what, domain, data, labels, holdout, assignments)
    parts = split(dataset.index, config.holdout)
    found = EvaluationData(dataset, parts, field, store=features)
    model, run = load_encoder(what, dataset, found.splits.train, encoder, image_size)
    shared = refuse_overlap(run, found, allow_overlap, evaluations) if run else 0
    return Judged(model, run, found, config.path, shared)
