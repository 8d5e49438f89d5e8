"""Opens what an evaluation is asked for by name: the encoder, the images, the evaluations."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.config import validate
from ..core.dataset import Dataset
from ..core.discovery import domains, evaluations
from ..core.domain import Domain
from ..core.errors import SslKitError, UsageError
from ..data.opening import DataConfig, open_dataset
from ..data.splits import split
from ..training.run import Run
from ..training.settings import expand, merge, refuse_strays
from .data import EvaluationData
from .evaluation import Evaluation
from .leakage import groups_of, refuse_overlap
from .pretrained import Pretrained, from_init, from_run
from .tuned import open_run

_log = logging.getLogger("ssl_kit")


def run_of(model: str) -> Run | None:
    """Returns the run or classifier if a folder is meant, None for initial weights."""
    return open_run(model) if model and Path(model).is_dir() else None


def load_encoder(
    model: str, data: Dataset, pool: Any, encoder: str, image_size: int
) -> tuple[Pretrained, Run | None]:
    """Loads a run's encoder, or makes one with initial weights.

    Args:
        model: A run folder, "scratch", "imagenet" or a weights file.
        data: The images it will see.
        pool: Positions that statistics may be measured on.
        encoder: Architecture, where `model` is no run.
        image_size: Pixels; 0 is the run's, or 64.
    """
    run = run_of(model)
    if run:
        loaded = from_run(run)
        return replace(loaded, image_size=image_size or loaded.image_size), run
    return from_init(model, encoder, image_size or 64, data, pool), None


def open_images(
    model: str,
    domain: str,
    data: str,
    labels: str,
    holdout: float | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Domain, Dataset, DataConfig]:
    """Opens the images for a command: a run's own unless others are named.

    Args:
        model: A run folder or anything else.
        domain: Its name; that of the run if empty.
        data: Path; that of the run if empty.
        labels: CSV.
        holdout: Share of groups for testing; that of the run if None.
        settings: Those of "data" are settings of the images as `train` takes them, nested or by
            dotted keys.
    """
    given: dict[str, Any] = {"path": data, "labels": labels} if data or labels else {}
    value_range, below = None, DataConfig()
    run = run_of(model)
    if run:
        below, domain = run.config.data, domain or run.config.domain
        value_range = run.read_json("encoder.json")["value_range"]
        if data:
            below = below.model_copy(update={"labels": ""})
    if holdout is not None:
        given["holdout"] = holdout
    if not domain:
        raise UsageError("Give --domain; 'ssl-kit domains' lists them.")
    flags = {"data": {key: value for key, value in given.items() if value != ""}}
    layers = merge({"data": below.model_dump()}, flags, expand(settings))
    config = validate(DataConfig, layers["data"], "data")
    kind: Domain = domains[domain]
    return kind, open_dataset(kind, config, value_range), config


def choose(
    names: str | Sequence[str], settings: Mapping[str, Any] | None = None
) -> dict[str, Evaluation]:
    """Makes evaluations with the options that were set.

    Args:
        names: Of the evaluations; in a text they are separated by commas.
        settings: Such as {"knn.k": 10}, each for one of them; "data" is for `open_images`.

    Raises:
        UsageError: If an option is for none of them, unknown or wrong.
    """
    names = names.split(",") if isinstance(names, str) else names
    options = expand(settings)
    options.pop("data", None)
    refuse_strays(options, names)
    chosen: dict[str, Evaluation] = {}
    for name in names:
        kind: type[Evaluation] = evaluations[name]
        given = options.get(name, {})
        if not isinstance(given, Mapping):
            raise UsageError(f"--set {name}=... sets no option; write {name}.OPTION=VALUE.")
        chosen[name] = kind(validate(kind.Config, given, name))
    return chosen


def refusals(data: EvaluationData) -> dict[str, str]:
    """Tells which evaluations these images and labels allow, with default options.

    Returns:
        By the name of each evaluation, why it refuses them; "" if it can be asked.
    """
    reasons = {}
    for name in evaluations:
        try:
            kind: type[Evaluation] = evaluations[name]
            needed = [key for key, f in kind.Config.model_fields.items() if f.is_required()]
            if needed:
                reasons[name] = f"It needs --set {name}.{needed[0]}=..."
                continue
            kind(kind.Config()).check(data)
            reasons[name] = ""
        except SslKitError as error:
            reasons[name] = str(error)
    return reasons


def check_and_say(chosen: Iterable[Evaluation], data: EvaluationData) -> None:
    """Checks that evaluations can use the data, and logs what was assumed of the images.

    Raises:
        UsageError: If one of the evaluations cannot use the data.
    """
    for evaluation in chosen:
        evaluation.check(data)
    for remark in (*data.dataset.index.remarks, *data.splits.remarks):
        _log.warning(remark)


@dataclass(frozen=True)
class Prepared:
    """An encoder and the labeled images that it is evaluated on.

    Attributes:
        model: The encoder with its weights.
        run: The run that it comes from; None for initial weights.
        data: Labeled images in three parts.
        settings: All settings of the images.
        shared: Number of test groups that were pre-trained on.
    """

    model: Pretrained
    run: Run | None
    data: EvaluationData
    settings: DataConfig
    shared: int

    @property
    def path(self) -> str:
        """Path of the images."""
        return self.settings.path


def prepare(
    model: str,
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
    settings: Mapping[str, Any] | None = None,
) -> Prepared:
    """Loads an encoder and labeled images for it.

    Args:
        model: A run folder, "scratch", "imagenet" or a weights file.
        domain: Domain of the images; the run's if empty.
        data: Path of labeled images; the run's if empty.
        labels: CSV file with labels.
        encoder: Architecture, where `model` is no run.
        image_size: Pixels; 0 is the run's, or 64.
        holdout: Share of groups to test on where no split is declared; the run's if None.
        allow_overlap: Accept test groups that were pre-trained on.
        features: Folder that features of labeled images are kept in.
        evaluations: What will be run, since it may report on more than the test part.
        settings: Settings of the images; see `open_images`.

    Raises:
        UsageError: If test groups were pre-trained on and that was not allowed.
    """
    field, dataset, config = open_images(model, domain, data, labels, holdout, settings)
    parts = split(dataset.index, config.holdout)
    seen = groups_of(None if allow_overlap else run_of(model))
    labeled = EvaluationData(dataset, parts, field, store=features, pretrained_on=seen)
    check_and_say(evaluations, labeled)
    loaded, run = load_encoder(model, dataset, parts.train, encoder, image_size)
    shared = refuse_overlap(run, labeled, allow_overlap, evaluations) if run else 0
    return Prepared(loaded, run, labeled, config, shared)
