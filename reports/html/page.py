"""Renders the reports of runs and comparisons, writes them, and serves a live view."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from ...core.atomic import write_atomic
from ...core.dataset import Dataset
from ...core.domain import Domain
from ...core.errors import SslKitError, UsageError
from ...data.splits import Splits, split
from ...evaluation.data import EvaluationData
from ...evaluation.pretrained import from_run
from ...evaluation.recipe_outcome import OUTCOME
from ...evaluation.records import load_evaluations
from ...evaluation.requests import open_images
from ...evaluation.tuned import TunedRun, is_run, open_run
from ...training.run import SEARCH, Run
from ..text import selected
from . import classifier, comparison, curves, evaluations, facts, kept, recipe, sections, tuning
from .embedding import embed_sample
from .serve import make_server
from .understood import understood

_WITHOUT_IMAGES = ("compare.json", "tune.json", OUTCOME)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("ssl_kit.reports.html", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> bytes:
    """Renders a template of this package as UTF-8."""
    values = {"live": False, **values}
    page = _environment().get_template(template).render(values)
    return page.encode(errors="backslashreplace")  # names of files may be no Unicode


def run_page(run: Run, data: str = "", live: bool = False) -> bytes:
    """Makes the report of a run.

    Args:
        run: Finished, stopped or running.
        data: Path of the images; that of the run if empty.
        live: Leave out what reads images, the checkpoint or evaluations, which would slow a
            training down.

    Raises:
        DataError: If a stored evaluation is damaged.
    """
    manifest, encoder = facts.optional(run, "manifest.json"), facts.optional(run, "encoder.json")
    records = run.lines(run.metrics)
    initial = {} if live else facts.initial_measures(run)
    stored = [] if live else load_evaluations(run)
    skipped = facts.skipped(run)
    command, exact = facts.command(run, manifest)
    values = {
        "live": live,
        "run": run,
        "name": run.folder.resolve().name,
        "status": facts.status(manifest, records),
        "facts": facts.facts(run, encoder, manifest, records),
        "loading": facts.loading(run, encoder),
        "kept": None if live else kept.section(selected(run), manifest),
        "training": curves.training_charts(records),
        "last": curves.last_values(records),
        "watch": curves.watch_charts(records, initial),
        "measures": curves.measures(records, initial),
        "from_start": bool(initial),
        "evaluations": [evaluations.section(evaluation) for evaluation in stored],
        "skipped": skipped,
        "skipped_total": sum(count for _, count in skipped),
        "command": command,
        "exact": exact,
        "config": run.config.to_toml(),
        "versions": list(facts.rows_of(manifest.get("versions", {}))),
        "hardware": list(facts.rows_of(manifest.get("hardware", {}))),
        "fingerprint": manifest.get("data", {}).get("fingerprint", ""),
        "git": manifest.get("git", ""),
    }
    return render("run.html", **values, **_images(run, data, live, manifest))


def _images(run: Run, data: str, live: bool, manifest: dict[str, Any]) -> dict[str, Any]:
    """Returns the sections that show images, and why some or all of them are left out."""
    names = ("spectrum", "atlas", "gallery", "sheet", "embedded", "understood")
    empty: dict[str, Any] = dict.fromkeys(names)
    empty |= {"leak": sections.leak(manifest, None, None), "missing": ""}
    if live:
        return empty
    if not (run.folder / "encoder.json").is_file():
        not_begun = sections.Leak(
            "The training has not begun, so no image was used yet.", bad=False
        )
        reason = "The run has no encoder yet. The sections with images are left out."
        return empty | {"leak": not_begun, "missing": reason}
    try:
        domain, dataset, config = open_images(str(run.folder), "", data, "")
        splits = split(dataset.index, config.holdout)
        return empty | _of_images(run, domain, dataset, splits, manifest)
    except SslKitError as error:
        if data:
            raise
        left_out = " The sections with images (map, neighbors, views) are left out."
        return empty | {"missing": _unavailable(error) + left_out}


def _of_images(
    run: Run, domain: Domain, dataset: Dataset, splits: Splits, manifest: dict[str, Any]
) -> dict[str, Any]:
    shown = {
        "understood": understood(EvaluationData(dataset, splits, domain)),
        "sheet": sections.sheet(run, dataset, domain),
        "leak": sections.leak(manifest, dataset.index, splits, dataset.path),
    }
    if not run.encoder.is_file():
        reason = "The run has no encoder yet. The map and the neighbors are left out."
        return shown | {"missing": reason}
    embedded = embed_sample(run, from_run(run), dataset, domain)
    return shown | {
        "embedded": embedded,
        "spectrum": sections.spectrum_chart(embedded.features, embedded.initial_features),
        "atlas": sections.atlas(embedded, dataset, splits, domain),
        "gallery": sections.gallery(embedded, dataset, splits, domain),
    }


def classifier_page(run: TunedRun, data: str = "") -> bytes:
    """Makes the report of a fine-tuned classifier.

    Args:
        run: The classifier.
        data: Path of its images; that of the classifier if empty.
    """
    facts_of_images: dict[str, Any] = {"understood": None, "missing": ""}
    try:
        domain, dataset, config = open_images(str(run.folder), "", data, "")
        splits = split(dataset.index, config.holdout)
        facts_of_images["understood"] = understood(EvaluationData(dataset, splits, domain))
    except SslKitError as error:
        if data:
            raise
        facts_of_images["missing"] = _unavailable(error)
    return render("classifier.html", **classifier.context(run), **facts_of_images)


def _unavailable(error: SslKitError) -> str:
    reason = facts.scrub(str(error))
    return f"The images are not available: {reason} Give their path with --data."


def comparison_page(folder: Path) -> bytes:
    """Makes the report of a comparison from its compare.json."""
    name = folder.resolve().name
    return render("comparison.html", name=name, c=comparison.context(comparison.read(folder)))


def recipe_page(folder: Path) -> bytes:
    """Makes the report of a recipe from its recipe.json and the comparisons below it."""
    return render("recipe.html", name=folder.resolve().name, **recipe.context(folder))


def tuning_page(folder: Path) -> bytes:
    """Makes the report of a search for settings from its tune.json."""
    name = folder.resolve().name
    return render("tuning.html", name=name, **tuning.context(tuning.read(folder)))


def write_report(folder: Path, data: str = "", out: Path | None = None) -> Path:
    """Writes the report of a run, a comparison, a classifier, a search or a recipe.

    Args:
        folder: Of one of them.
        data: Path of the images of a run or classifier; its own if empty.
        out: HTML file; report.html in the folder if None.

    Returns:
        The file that was written.

    Raises:
        UsageError: If `data` is given for what shows no images.
    """
    out = out or folder / "report.html"
    if data and any((folder / name).is_file() for name in _WITHOUT_IMAGES):
        raise UsageError("Only reports of runs and classifiers show images. Leave out --data.")
    if (folder / "compare.json").is_file():
        page = comparison_page(folder)
    elif (folder / "tune.json").is_file():
        page = tuning_page(folder)
    elif (folder / OUTCOME).is_file():
        page = recipe_page(folder)
    elif folder.is_dir() and not (is_run(folder) or (folder / SEARCH).is_file()):
        raise UsageError(
            f"'{folder}' holds nothing to report on. Give the folder of a run, a comparison, a "
            "classifier, a search or a recipe."
        )
    elif isinstance(run := open_run(folder), TunedRun):
        page = classifier_page(run, data)
    else:
        page = run_page(run, data)
    write_atomic(out, page)
    return out


def serve(folder: Path, port: int, say: Callable[[str], None]) -> None:
    """Serves a live view of a run at http://127.0.0.1:`port` until it is interrupted."""
    run = Run(folder)
    files = [run.metrics, run.skipped, folder / "manifest.json", run.encoder]
    with make_server(lambda: run_page(run, live=True), files, port) as server:
        say(f"Live view of '{folder}': http://127.0.0.1:{server.server_port}/ (Ctrl-C stops it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
