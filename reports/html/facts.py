"""Facts and curves of a run for its report, from the files of the run folder alone."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ...core.errors import RunError
from ...training.collapse import cure
from ...training.run import Run
from ..text import how_to_load
from ..words import sentence_case, spaced
from .axes import number
from .charts import Chart, Line, line_chart

Record = Mapping[str, Any]

_COLLAPSE = {
    "OK": "No sign of collapse: the features vary, and they distinguish the images.",
    "SUSPECT": "Suspect: a measure of the features is outside of its normal range.",
    "DIMENSIONAL": "Dimensional collapse: the features vary in few directions only.",
    "COLLAPSED": "Collapsed: the encoder gives nearly the same features for all images.",
    "": "No verdict yet: the collapse watch measures at the end of an epoch.",
}
_MEASURES = {
    "rankme": ("RankMe", "effective rank of the features; higher is better"),
    "rankme_centered": ("RankMe, centered", "effective rank after the mean is subtracted"),
    "feature_std": ("Standard deviation", "of L2-normalized features; 1 is best, 0 is collapse"),
    "mean_cosine": ("Mean cosine", "between different images; 1 is complete collapse"),
    "alpha_req": ("alpha-ReQ", "decay of the eigenvalues of the covariance; near 1 is best"),
    "lidar": ("LiDAR", "effective rank of what differs between images; higher is better"),
    "alignment": ("Alignment", "squared distance of two views of an image; 0 is identical"),
    "uniformity": ("Uniformity", "of features on the sphere; 0 is collapsed, -4 is uniform"),
    "view_retrieval": ("View retrieval", "share of images whose other view is the nearest"),
}
_BETTER = {
    "loss": "lower is better",
    "images_per_second": "higher is better",
    "data_wait": "lower is better",
    "rankme": "higher is better",
    "rankme_centered": "higher is better",
    "feature_std": "near 1 is best",
    "mean_cosine": "lower is better",
    "alpha_req": "near 1 is best",
    "lidar": "higher is better",
    "alignment": "lower is better, above 0",
    "uniformity": "lower is better",
    "view_retrieval": "higher is better",
}
_UNCHARTED = {"epoch", "step", "loss", "lr", "images_per_second", "data_wait", "verdict"}


def optional(run: Run, name: str) -> dict[str, Any]:
    """Reads a JSON file of a run; empty if it does not exist yet."""
    try:
        return run.read_json(name)
    except RunError:
        return {}


def duration(seconds: float) -> str:
    """Writes a duration: "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@dataclass(frozen=True)
class Status:
    """The verdict of the collapse watch, and whether the training has ended.

    Attributes:
        verdict: OK, SUSPECT, DIMENSIONAL, COLLAPSED, or "" before the first.
        words: The verdict as a sentence.
        cure: Likely cause and what to do; "" for OK.
        finished: Whether the training has ended.
        progress: How far the training has got, as a sentence.
    """

    verdict: str
    words: str
    cure: str
    finished: bool
    progress: str


def status(manifest: Record, records: Sequence[Record]) -> Status:
    """Reads verdict and progress of a run from its manifest and metrics."""
    verdicts = [record["verdict"] for record in records if "verdict" in record]
    verdict = str(manifest.get("verdict") or (verdicts[-1] if verdicts else ""))
    finished = "seconds" in manifest
    last = records[-1] if records else {"epoch": 0, "step": 0}
    done = f"epoch {last['epoch']:.1f}, step {last['step']:,}"
    return Status(
        verdict,
        _COLLAPSE.get(verdict, verdict),
        cure(verdict) if verdict in _COLLAPSE and verdict else "",
        finished,
        f"The training has ended at {done}." if finished else f"The training is at {done}.",
    )


def facts(
    run: Run, encoder: Record, manifest: Record, records: Sequence[Record]
) -> list[tuple[str, str]]:
    """Returns names and values: domain, objective, encoder, images, epochs, speed and seed."""
    config, data = run.config, manifest.get("data", {})
    rows = [
        ("Domain", config.domain),
        ("Objective", config.objective.name),
        ("Encoder", f"{config.encoder.name}, {config.encoder.image_size} px"),
        ("Started from", str(manifest.get("initial_weights", config.encoder.init))),
    ]
    if data:
        rows += [
            ("Images trained on", f"{data['trained_on']:,} of {data['images']:,}"),
            ("Groups trained on", f"{len(manifest['groups']):,}"),
        ]
    if encoder:
        rows.append(("Channels", ", ".join(encoder["channels"])))
    if records:
        images = config.train.batch_size * config.train.accumulate
        rows += [
            ("Epochs", f"{records[-1]['epoch']:.1f}".removesuffix(".0")),
            ("Steps", f"{records[-1]['step']:,}, each of {images} images"),
            ("Speed", f"{number(median(r['images_per_second'] for r in records))} images/s"),
        ]
    if "seconds" in manifest:
        rows.append(("Training time", duration(manifest["seconds"])))
    return [*rows, ("Seed", str(config.seed))]


def loading(run: Run, encoder: Record) -> str:
    """Returns Python code that loads the encoder and uses it; "" if there is none yet."""
    if not encoder or not run.encoder.is_file():
        return ""
    first, *more = how_to_load(run, encoder)
    size, channels = encoder["image_size"], len(encoder["channels"])
    return (
        "\n".join([first if more else f"encoder = {first}", *more])
        + "\nencoder.eval()\n"
        + f"# x: images (B, {channels}, {size}, {size}), {_scaling(encoder['value_range'])}\n"
        + f"mean = {_short(encoder['mean'])}\nstd = {_short(encoder['std'])}\n"
        + "features = encoder((x - mean) / std)  # mean, std as (C, 1, 1) tensors"
    )


def _short(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:.4f}" for value in values) + "]"


def _scaling(value_range: Sequence[Sequence[float]]) -> str:
    if all(list(pair) == [0, 255] for pair in value_range):
        return "pixel values divided by 255"
    return "values scaled from encoder.json's value_range to [0, 1]"


def command(run: Run, manifest: Record) -> tuple[str, bool]:
    """Returns the command that made the run, and whether it was recorded.

    If it was not recorded, this is a command that trains again with the same settings.
    """
    if "command" in manifest:
        return str(manifest["command"]), True
    config = shlex.quote(str(run.folder / "config.toml"))
    return f"ssl-kit train --config {config} --out NEW_FOLDER", False


def training_charts(records: Sequence[Record]) -> list[Chart]:
    """Draws loss, learning rate, speed, waiting for data, and the metrics of the objective.

    What was recorded once only is left out.
    """
    charts = [
        _curve(records, key, title, zero=key in ("lr", "images_per_second", "data_wait"), factor=f)
        for key, title, f in _recorded(records)
    ]
    return [chart for chart in charts if chart]


def last_values(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Returns name and last value of what `training_charts` draws."""
    values = ((title, _points(records, key, f)) for key, title, f in _recorded(records))
    return [(title, number(points[-1][1])) for title, points in values if points]


def _recorded(records: Sequence[Record]) -> list[tuple[str, str, float]]:
    """Returns key, title and factor of each quantity of the training."""
    known = _UNCHARTED.union(_MEASURES, (f"projected_{name}" for name in _MEASURES))
    known |= {"alpha_req_r2", "projected_alpha_req_r2"}
    reported = sorted({key for record in records for key in record} - known)
    return [
        ("loss", "Loss", 1),
        ("lr", "Learning rate", 1),
        ("images_per_second", "Images per second", 1),
        ("data_wait", "Waiting for data, % of the time", 100),
        *((name, sentence_case(spaced(name)), 1) for name in reported),
    ]


def _curve(
    records: Sequence[Record], key: str, title: str, zero: bool = False, factor: float = 1
) -> Chart | None:
    points = _points(records, key, factor)
    if len(points) < 2:  # `last_values` has it
        return None
    return line_chart(title, [Line(title, points)], zero=zero, better=_BETTER.get(key, ""))


def _points(records: Sequence[Record], key: str, factor: float = 1) -> list[tuple[float, float]]:
    return [
        (float(r["epoch"]), factor * float(r[key]))
        for r in records
        if isinstance(r.get(key), int | float)
    ]


def watch_charts(records: Sequence[Record], initial: Record) -> list[Chart]:
    """Draws each collapse measure of features and projections, starting before the first step."""
    records = [{"epoch": 0.0, **initial}, *records] if initial else records
    charts = []
    for key, (title, _) in _MEASURES.items():
        lines = [
            Line("features", _points(records, key)),
            Line("projections", _points(records, f"projected_{key}")),
        ]
        lines = [line for line in lines if len(line.points) > 1]  # `measures` has single values
        zero = key in ("rankme", "rankme_centered", "lidar")
        charts.append(line_chart(title, lines, zero=zero, better=_BETTER[key]))
    return [chart for chart in charts if chart]


@dataclass(frozen=True)
class Measure:
    """A collapse measure with its values at the start and at the end, as texts."""

    name: str
    meaning: str
    start: str
    end: str
    projected_start: str
    projected_end: str


def measures(records: Sequence[Record], initial: Record) -> list[Measure]:
    """Tabulates the collapse measures; empty before the first measurement."""
    measured = [record for record in records if "rankme" in record]
    if not measured:
        return []
    first, last = initial or measured[0], measured[-1]

    def text(values: Record, key: str) -> str:
        return number(float(values[key])) if key in values else ""

    return [
        Measure(
            name,
            meaning,
            text(first, key),
            text(last, key),
            text(first, f"projected_{key}"),
            text(last, f"projected_{key}"),
        )
        for key, (name, meaning) in _MEASURES.items()
    ]


def initial_measures(run: Run) -> dict[str, float]:
    """Returns the collapse measures before the first step; empty if there is no checkpoint."""
    try:
        state = run.load_checkpoint() or {}
    except RunError:
        return {}
    return dict(state.get("watch", {}).get("initial", {}))


_SECRETS = re.compile(
    r"""'[^']*'|"[^"]*"        # quoted texts: file names, tag values
    |\S*[/\\]\S+               # paths
    |\b\d+(?:\.\d+){3,}\b""",  # DICOM UIDs
    re.VERBOSE,
)


def skipped(run: Run) -> list[tuple[str, int]]:
    """Counts skipped files by reason, most frequent first; names are removed from the reasons."""
    lines = run.lines(run.skipped)
    return Counter(_anonymous(line["key"], line["reason"]) for line in lines).most_common()


def _anonymous(key: str, reason: str) -> str:
    path = Path(key)
    for name in sorted({key, path.name, path.stem, *path.parts}, key=len, reverse=True):
        reason = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", reason)
    return scrub(reason)


def scrub(text: str) -> str:
    """Removes whatever may name a patient from a message: quotes, paths and DICOM UIDs."""
    return _SECRETS.sub("…", text)


def rows_of(values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yields names and texts of a section of the manifest."""
    for name, value in values.items():
        text = ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
        yield name, text
