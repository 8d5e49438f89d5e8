"""What the commands do, as functions that can be called from Python too."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.atomic import write_atomic
from ..core.discovery import domains
from ..core.domain import Domain
from ..core.errors import RunError, UsageError
from ..core.view import View
from ..data.loader import Skipped
from ..data.opening import open_dataset
from ..evaluation.pretrained import embed, from_init
from ..evaluation.records import save_evaluation
from ..evaluation.requests import choose, judged, load_encoder, open_images
from ..evaluation.side_by_side import SideBySide, evaluate_side_by_side
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


def evaluate(
    what: str,
    evaluations: Sequence[str],
    *,
    command: str = "",
    assignments: Sequence[str] = (),
    **options: Any,
) -> tuple[list[SideBySide], int]:
    """Evaluates a run beside its untrained encoder, or initial weights alone.

    Args:
        what: A run folder, "scratch", "imagenet" or a weights file.
        evaluations: Names of evaluations.
        command: That was typed; it is stored with the results of a run.
        assignments: Options of the evaluations, such as "knn.k=10", and settings of the images.
        options: See `ssl_kit.evaluation.requests.judged`.

    Returns:
        One comparison per evaluation, and the number of test groups that were pre-trained on.
    """
    chosen = choose(evaluations, assignments)
    found = judged(what, evaluations=chosen.values(), assignments=assignments, **options)
    model, data, models = found.model, found.data, [found.model]
    if found.run:
        name = found.run.config.encoder.name
        control = from_init("scratch", name, model.image_size, data.dataset, data.splits.train)
        models.append(control)
    comparisons = evaluate_side_by_side(models, data, chosen)
    if found.run:
        facts = {
            "path": found.path,
            "fingerprint": data.dataset.fingerprint(),
            "domain": data.domain.name,
        }
        for results in comparisons:
            save_evaluation(found.run, results, command=command, data=facts, shared=found.shared)
    return comparisons, found.shared


def embed_to_file(what: str, out: Path, domain: str, data: str, labels: str) -> tuple[int, Skipped]:
    """Writes features of all images: an .npz with features, keys and labels.

    Returns:
        The number of images and those that could not be read.
    """
    if out.suffix != ".npz":
        raise UsageError(f"--out must end in .npz, not '{out.name}'.")
    field, dataset, _ = open_images(what, domain, data, labels)
    everything = np.arange(len(dataset))
    model, _ = load_encoder(what, dataset, everything, "resnet18", 0)
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
