"""Facts of a run for its report, from the files of the run folder alone."""

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
from .axes import number

Record = Mapping[str, Any]

_COLLAPSE = {
    "OK": "No sign of collapse: the features vary, and they distinguish the images.",
    "SUSPECT": "Suspect: a measure of the features is outside of its normal range.",
    "DIMENSIONAL": "Dimensional collapse: the features vary in few directions only.",
    "COLLAPSED": "Collapsed: the encoder gives nearly the same features for all images.",
    "": "No verdict yet: the collapse watch measures at the end of an epoch.",
}


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
        of = f", of the classes {', '.join(config.data.classes)}" if config.data.classes else ""
        rows += [
            ("Images trained on", f"{data['trained_on']:,} of {data['images']:,}{of}"),
            ("Groups trained on", f"{len(manifest['groups']):,}"),
        ]
    if encoder:
        rows.append(("Channels", ", ".join(encoder["channels"])))
    if records:
        batch_size = manifest.get("batch_size", config.train.batch_size)  # of few images smaller
        images = batch_size * config.train.accumulate
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
    made = [first, *more] if more else ["import timm", f"encoder = {first}"]
    lines = [*made, "encoder.eval()", *standardizing(encoder, signals=bool(more))]
    return "\n".join(["import torch", *lines, "features = encoder((x - mean) / std)"])


def standardizing(encoder: Record, signals: bool = False) -> list[str]:
    """Returns Python that says what images are to be and makes the mean and std of their channels.

    Args:
        encoder: Content of encoder.json.
        signals: Whether the encoder is of a family of its own, which may take signals.
    """
    size, channels = encoder["image_size"], len(encoder["channels"])
    shape = f"(B, {channels}, {size}, {size})"
    shape += f", or signals (B, {channels}, 1, {size})" if signals else ""
    return [
        f"# x: images {shape}, {_scaling(encoder['value_range'])}",
        *(f"{name} = {_column(encoder[name])}" for name in ("mean", "std")),
    ]


def _column(values: Sequence[float]) -> str:
    return f"torch.tensor([{', '.join(f'{value:.4f}' for value in values)}]).view(-1, 1, 1)"


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


def initial_measures(run: Run) -> dict[str, float]:
    """Returns the collapse measures before the first step; empty if there is no checkpoint."""
    try:
        state = run.load_checkpoint() or {}
    except RunError:
        return {}
    return dict(state.get("watch", {}).get("initial", {}))


_SECRETS = re.compile(
    r"""['"](?s:.*)['"]        # from the first quote to the last, as names may have quotes too
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
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield name, "none" if value in (None, [], {}) else text
