"""Opens what an evaluation is asked for by name: the encoder, the images, the evaluations."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..core.config import validate
from ..core.dataset import Dataset
from ..core.discovery import domains, evaluations
from ..core.domain import Domain
from ..core.errors import UsageError
from ..data.earlier import OpenedLike, for_other_images, open_as_trained, open_like
from ..data.inspection import AT_START, inspect_dataset
from ..data.opening import DataConfig, open_dataset
from ..data.said import unsaid
from ..data.splits import split
from ..nn.checkpoints import facts_beside
from ..training.layers import expand, merge, refuse_strays
from ..training.resume import warn_of_unfinished
from ..training.run import Run
from .calibration import measure_statistics
from .channels import refuse_other_channels
from .data import EvaluationData
from .evaluation import Evaluation
from .leakage import refuse_overlap, seen_by
from .pretrained import Pretrained, from_init, from_run
from .records import unlike_run
from .tuned import is_run, open_run

_UNTRAINED = ("", "scratch", "imagenet")
_log = logging.getLogger("ssl_kit")


def run_of(model: str) -> Run | None:
    """Returns the run or classifier if its folder is meant, None for initial weights."""
    if model in _UNTRAINED or not Path(model).is_dir():
        return None
    return open_run(model) if is_run(Path(model)) or not facts_beside(model) else None


def run_around(model: str) -> Run | None:
    """Returns the run or classifier whose folder or own weights file is meant."""
    path = Path(model)
    if not path.is_file():
        return run_of(model)
    folder = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    run = run_of(str(folder)) if facts_beside(model) else None
    return run if run and path in (run.encoder, run.best, run.end) else None


def _refuse_missing(model: str) -> None:
    if model not in _UNTRAINED and not Path(model).exists():
        names = "a run folder, a weights file, scratch or imagenet"
        raise UsageError(f"'{model}' does not exist. Give {names}.")


def load_encoder(
    model: str, data: Dataset, pool: Any, encoder: str, image_size: int
) -> tuple[Pretrained, Run | None]:
    """Loads a run's encoder, or makes one with initial weights.

    Args:
        model: A run folder, "scratch", "imagenet", a weights file or an export.
        data: The images it will see.
        pool: Positions that statistics may be measured on.
        encoder: Architecture; that of the run or beside the weights, or resnet18, if empty.
        image_size: Pixels; 0 is the run's, that beside the weights, or 64.

    Raises:
        UsageError: If `encoder` is another architecture than the weights are of.
    """
    run, facts = run_of(model), facts_beside(model)
    own = facts.get("architecture", "")
    if own and encoder and encoder.removeprefix("timm/") != own.removeprefix("timm/"):
        raise UsageError(f"'{model}' is a {own}, not a {encoder}. Leave out --encoder.")
    if run:
        loaded = from_run(run)
        warn_of_unfinished(run)
        return replace(loaded, image_size=image_size or loaded.image_size), run
    size = image_size or facts.get("image_size", 64)
    made = from_init(model, encoder or own or "resnet18", size, data, pool)
    if facts:
        _log.warning("%s.", made.loaded)
    return made, None


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
        domain: Its name; that of the run, or beside the weights, if empty.
        data: Path; that of the run if empty.
        labels: CSV.
        holdout: Share of groups for testing; that of the run if None.
        settings: Those of "data" are settings of the images as `train` takes them, nested or by
            dotted keys.

    Raises:
        UsageError: If there is no such model, or the images have other channels than the run, or
            values of another unit.
    """
    _refuse_missing(model)
    asked = expand(settings).get("data", {})
    given: dict[str, Any] = {"path": data, "labels": labels} if data or labels else {}
    below, run, facts = DataConfig(), run_of(model), facts_beside(model)
    origin = run or run_around(model)
    if facts and not (origin or data):
        raise UsageError(f"'{model}' is no run, whose images are known. Give --data.")
    domain = domain or (origin.config.domain if origin else facts.get("domain", ""))
    if not domain:
        raise UsageError("Give --domain; 'ssl-kit domains' lists them.")
    field: Domain = domains[domain]
    if origin:
        below = origin.config.data
        if data:
            below, remarks = for_other_images(field, below, data, asked.get("reader", ""))
            for remark in remarks:
                _log.warning(remark)
    if holdout is not None:
        given["holdout"] = holdout
    flags = {"data": {key: value for key, value in given.items() if value != ""}}
    layers = merge({"data": below.model_dump()}, flags, {"data": asked})
    config = validate(DataConfig, layers["data"], "data")
    opened = (
        _opened_for(run, field, config, bool(data))
        if run
        else open_like(field, config, facts, model)
    )
    for remark in opened.remarks:
        _log.warning(remark)
    return field, opened.dataset, config


def _opened_for(run: Run, domain: Domain, config: DataConfig, other: bool) -> OpenedLike:
    """Opens images with the value range of a run; `other` if they are not those of its training."""
    facts, origin = run.read_json("encoder.json"), str(run.folder)
    if not other:
        return OpenedLike(open_dataset(domain, config, facts["value_range"]))
    dataset = open_dataset(domain, config)
    refuse_other_channels(dataset, facts["channels"], origin, run.encoder)
    return open_as_trained(domain, config, dataset, facts["value_range"], run.encoder)


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


def check_and_say(chosen: Iterable[Evaluation], data: EvaluationData, strict: bool = False) -> None:
    """Checks that evaluations can use the data, and logs what looks wrong or was assumed.

    It looks at the pixels of up to 64 images, as a training does before it starts.

    Args:
        chosen: The evaluations.
        data: Labeled images in three parts.
        strict: Refuse images in which something looks wrong.

    Raises:
        DataError: If none of the images looked at can be read.
        UsageError: If one of the evaluations cannot use the data, or if `strict` refuses them.
    """
    for evaluation in chosen:
        evaluation.check(data)
    facts = inspect_dataset(data.dataset, data.splits, AT_START)
    if strict:
        facts.refuse_warnings()
    remarks = (*data.dataset.index.remarks, *data.splits.remarks)
    for sentence in unsaid((*facts.warnings, *remarks)):
        _log.warning(sentence)


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

    @property
    def images(self) -> dict[str, Any]:
        """Which images these are: path, fingerprint and domain.

        It also has what `unlike_run` returns.
        """
        return {
            "path": self.path,
            "fingerprint": self.data.dataset.fingerprint(),
            "domain": self.data.domain.name,
            **unlike_run(self.run, self.settings, self.model.image_size),
        }


def prepare(
    model: str,
    *,
    domain: str = "",
    data: str = "",
    labels: str = "",
    encoder: str = "",
    image_size: int = 0,
    holdout: float | None = None,
    allow_overlap: bool = False,
    strict: bool = False,
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
        encoder: Architecture; that of the run or beside the weights, or resnet18, if empty.
        image_size: Pixels; 0 is the run's, that beside the weights, or 64.
        holdout: Share of groups to test on where no split is declared; the run's if None.
        allow_overlap: Accept test groups that were pre-trained on.
        strict: Refuse images in which something looks wrong.
        features: Folder that features of labeled images are kept in.
        evaluations: What will be run, since it may report on more than the test part.
        settings: Settings of the images; see `open_images`.

    Raises:
        UsageError: If test groups were pre-trained on and that was not allowed, or if `strict`
            refuses the images.
    """
    field, dataset, config = open_images(model, domain, data, labels, holdout, settings)
    parts = split(dataset.index, config.holdout)
    trained = None if allow_overlap else run_of(model)
    seen = seen_by(trained, dataset=dataset)
    skip = config.max_skip
    labeled = EvaluationData(dataset, parts, field, -1, features, *seen, max_skip=skip)
    check_and_say(evaluations, labeled, strict)
    pool = parts.outside_test
    loaded, run = load_encoder(model, dataset, pool, encoder, image_size)
    if model == "scratch":
        note = partial(labeled.note_unreadable, tell=False)
        measure_statistics(loaded, dataset, pool, field, note)
    origin = run or run_around(model)
    shared = refuse_overlap(origin, labeled, allow_overlap, evaluations) if origin else 0
    return Prepared(loaded, run, labeled, config, shared)
