"""Puts the reports together and writes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from ...core.atomic import write_atomic
from ...core.dataset import Dataset
from ...core.domain import Domain
from ...core.errors import SslKitError
from ...data.splits import Splits, split
from ...evaluation.pretrained import from_run
from ...evaluation.requests import open_images
from ...training.run import Run
from . import comparison, facts, sections
from .embedding import embed_sample, quick_knn
from .serve import make_server


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ssl_kit.reports.html", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment


def render(template: str, **values: Any) -> bytes:
    """Fills a template of this package."""
    values = {"live": False, **values}
    return _environment().get_template(template).render(values).encode()


def run_page(run: Run, data: str = "", live: bool = False) -> bytes:
    """Makes the report of a run.

    Args:
        run: Finished, stopped or running.
        data: Path of the images, where it is no longer the run's own.
        live: Leave out what looks at images or loads the checkpoint: it would slow a training.
    """
    manifest, encoder = facts.optional(run, "manifest.json"), facts.optional(run, "encoder.json")
    records = run.lines(run.metrics)
    initial = {} if live else facts.initial_measures(run)
    command, exact = facts.command(run, manifest)
    values = {
        "live": live,
        "run": run,
        "name": run.folder.resolve().name,
        "status": facts.status(manifest, records),
        "facts": facts.facts(run, encoder, manifest, records),
        "loading": facts.loading(run, encoder),
        "training": facts.training_charts(records),
        "watch": facts.watch_charts(records, initial),
        "measures": facts.measures(records, initial),
        "from_start": bool(initial),
        "skipped": facts.skipped(run),
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
    """Returns what looks at images; why it is left out if they are not at hand."""
    none: dict[str, Any] = dict.fromkeys(
        ("spectrum", "atlas", "gallery", "sheet", "evaluation", "embedded")
    )
    none |= {"leak": sections.leak(manifest, None, None), "missing": ""}
    if live:
        return none
    if not run.encoder.is_file():
        return none | {
            "missing": "The run has no encoder yet: its training has not got far enough."
        }
    try:
        domain, dataset, config = open_images(str(run.folder), "", data, "")
        splits = split(dataset.index, config.holdout)
        return none | _of_images(run, domain, dataset, splits, manifest)
    except SslKitError as error:
        if data:
            raise
        why = facts.scrub(str(error))
        return none | {"missing": f"The images are not at hand: {why} Give their place by --data."}


def _of_images(
    run: Run, domain: Domain, dataset: Dataset, splits: Splits, manifest: dict[str, Any]
) -> dict[str, Any]:
    found = embed_sample(run, from_run(run), dataset, domain)
    compared = quick_knn(found, dataset, splits, domain)
    return {
        "embedded": found,
        "spectrum": sections.spectrum_chart(found.features, found.start_features),
        "atlas": sections.atlas(found, dataset, splits, domain),
        "gallery": sections.gallery(found, dataset, splits, domain),
        "sheet": sections.sheet(run, dataset, domain),
        "evaluation": sections.evaluation(compared, dataset.index.classes) if compared else None,
        "leak": sections.leak(manifest, dataset.index, splits),
    }


def comparison_page(folder: Path) -> bytes:
    """Makes the report of a comparison from its compare.json."""
    name = folder.resolve().name
    return render("comparison.html", name=name, **comparison.context(comparison.read(folder)))


def write_report(folder: Path, data: str = "", out: Path | None = None) -> Path:
    """Writes the report of a run, or of a comparison.

    Args:
        folder: Of the run or comparison.
        data: Path of the images, where it is no longer the run's own.
        out: The file; report.html in the folder if None.

    Returns:
        The file.
    """
    out = out or folder / "report.html"
    compared = (folder / "compare.json").is_file()
    write_atomic(out, comparison_page(folder) if compared else run_page(Run(folder), data))
    return out


def serve(folder: Path, port: int, say: Callable[[str], None]) -> None:
    """Shows a running training at this machine's `port` until interrupted."""
    run = Run(folder)
    files = [run.metrics, run.skipped, folder / "manifest.json", run.encoder]
    with make_server(lambda: run_page(run, live=True), files, port) as server:
        say(f"Live view of '{folder}': http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
