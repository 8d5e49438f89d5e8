"""What the commands do, as functions that can be called from Python too."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.atomic import write_atomic
from ..core.config import validate
from ..core.dataset import Dataset
from ..core.discovery import domains, evaluations
from ..core.domain import Domain
from ..core.errors import RunError, UsageError, did_you_mean
from ..core.view import View
from ..data.loader import Skipped
from ..data.opening import DataConfig, open_dataset
from ..data.splits import split
from ..evaluation.data import EvaluationData
from ..evaluation.evaluation import Evaluation
from ..evaluation.leakage import refuse_overlap
from ..evaluation.pretrained import Pretrained, embed, from_init, from_run
from ..evaluation.side_by_side import Comparison, compare
from ..reports.sheet import Clip, contact_sheet
from ..training.engine import create_run
from ..training.loop import train
from ..training.progress import Progress
from ..training.run import Run
from ..training.settings import merge, parse_set
from ..training.setup import build, resolve


def start(
    layers: Sequence[Mapping[str, Any]], out: Path | None, progress: Progress
) -> tuple[Run, str]:
    """Starts a run and trains it to the end.

    Args:
        layers: Nested settings, later ones win.
        out: The run folder; a new one below runs/ if None.
        progress: Shows what happens.

    Returns:
        The run and the verdict of the collapse watch.
    """
    config = resolve(*layers)
    if out is None:
        kind = f"{config.domain}-{config.objective.name}-{config.encoder.name}".replace("/", "-")
        out = Path("runs") / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}"
    setup = build(config)  # first: what does not fit together leaves no folder behind
    run = create_run(out, config)
    return run, train(run, setup, progress)


def go_on(folder: Path, progress: Progress) -> tuple[Run, str]:
    """Continues an interrupted run to its end, exactly as if it had not been interrupted."""
    run = Run(folder)
    setup = build(run.config)
    if run.last.exists():
        before = run.read_json("manifest.json")["data"]["fingerprint"]
        if before != setup.dataset.fingerprint():
            raise RunError(
                f"The images of '{setup.config.data.path}' are not those that '{folder}' was "
                "started with. Restore them, or start a new run with --init "
                f"'{folder}'."
            )
    return run, train(run, setup, progress)


def _run(what: str) -> Run | None:
    """Returns the run if a folder is meant, None for initial weights."""
    return Run(Path(what)) if what and Path(what).is_dir() else None


def load_model(
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
    run = _run(what)
    if run:
        model = from_run(run)
        model.image_size = image_size or model.image_size
        return model, run
    return from_init(what, encoder, image_size or 64, data, pool), None


def data_of(
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
    run = _run(what)
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


def choose(protocols: Sequence[str], assignments: Sequence[str] = ()) -> dict[str, Evaluation]:
    """Makes evaluations with the options that were set.

    Args:
        protocols: Their names.
        assignments: Such as "knn.k=10", each for one of the protocols; "data.*" is for `data_of`.

    Raises:
        UsageError: If an option is for none of them, unknown or wrong.
    """
    options = merge(*map(parse_set, assignments))
    options.pop("data", None)
    stray = sorted(set(options) - set(protocols))
    if stray:
        raise UsageError(
            f"'{stray[0]}' is not among the protocols asked for. "
            f"{did_you_mean(stray[0], protocols)} An option is set like "
            f"{protocols[0]}.NAME=VALUE; see 'ssl-kit evaluations {protocols[0]}'."
        )
    chosen: dict[str, Evaluation] = {}
    for name in protocols:
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
    protocols: Iterable[Evaluation] = (),
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
        protocols: What will be run, since it may report on more than the test part.
        assignments: Settings of the images; see `data_of`.

    Raises:
        UsageError: If test groups were pre-trained on and that was not allowed.
    """
    field, dataset, config = data_of(what, domain, data, labels, holdout, assignments)
    parts = split(dataset.index, config.holdout)
    found = EvaluationData(dataset, parts, field, store=features)
    model, run = load_model(what, dataset, found.splits.train, encoder, image_size)
    shared = refuse_overlap(run, found, allow_overlap, protocols) if run else 0
    return Judged(model, run, found, config.path, shared)


def evaluate(
    what: str, protocols: Sequence[str], *, assignments: Sequence[str] = (), **options: Any
) -> tuple[list[Comparison], int]:
    """Evaluates a run beside its untrained encoder, or initial weights alone.

    Args:
        what: A run folder, "scratch", "imagenet" or a weights file.
        protocols: Names of evaluations.
        assignments: Options of the protocols, such as "knn.k=10", and settings of the images.
        options: See `judged`.

    Returns:
        One comparison per protocol, and the number of test groups that were pre-trained on.
    """
    chosen = choose(protocols, assignments)
    found = judged(what, protocols=chosen.values(), assignments=assignments, **options)
    model, data, models = found.model, found.data, [found.model]
    if found.run:
        name = found.run.config.encoder.name
        control = from_init("scratch", name, model.image_size, data.dataset, data.splits.train)
        models.append(control)
    return compare(models, data, chosen), found.shared


def embed_to_file(what: str, out: Path, domain: str, data: str, labels: str) -> tuple[int, Skipped]:
    """Writes features of all images: an .npz with features, keys and labels.

    Returns:
        The number of images and those that could not be read.
    """
    if out.suffix != ".npz":
        raise UsageError(f"--out must end in .npz, not '{out.name}'.")
    field, dataset, _ = data_of(what, domain, data, labels)
    everything = np.arange(len(dataset))
    model, _ = load_model(what, dataset, everything, "resnet18", 0)
    features, rows, skipped = embed(model, dataset, everything, field)
    names = np.array(["", *dataset.index.classes])
    columns = {
        "features": features,
        "keys": np.char.decode(dataset.index.keys[rows], "utf-8", "surrogateescape"),
        "labels": names[dataset.index.labels[rows] + 1],
    }
    write_atomic(out, _npz(columns))
    return len(rows), skipped


def _npz(columns: Mapping[str, Any]) -> bytes:
    import io

    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **columns)
    return buffer.getvalue()


def show_views(
    domain: str,
    data: str,
    out: Path,
    policy: str,
    image_size: int,
    seed: int,
    assignments: Sequence[str] = (),
) -> list[Clip]:
    """Writes a contact sheet of a domain's views; see `contact_sheet`.

    Args:
        domain: Its name.
        data: Path; the demo if empty.
        out: PNG file.
        policy: Name of the augmentation policy.
        image_size: Pixels of a view.
        seed: Of the views.
        assignments: Settings of the images as `train` takes them, such as "data.options.tile=64".
    """
    asked = merge({"domain": domain, "data": {"path": data}}, *map(parse_set, assignments))
    config = resolve(asked if domain else {**asked, "domain": None})
    field: Domain = domains[config.domain]
    dataset = open_dataset(field, config.data)
    return contact_sheet(field, dataset, View(image_size, policy=policy), out, seed=seed)
