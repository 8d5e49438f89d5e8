"""Section of a run's report: which encoder was kept, and how the candidates compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..kept import candidate_words, kept_sentences
from ..words import NO_VALUE, estimate_text, sentence_case
from .charts import Chart, Line, line_chart


@dataclass(frozen=True)
class Kept:
    """Sentences, charts over the share of the training, and a table with its heading first."""

    sentences: list[str]
    charts: list[Chart]
    table: list[list[str]]


def section(selection: Mapping[str, Any], manifest: Mapping[str, Any]) -> Kept | None:
    """Shows how the encoders that a run could keep compare; None if nothing was compared.

    Args:
        selection: Content of selection.json; empty if there is none.
        manifest: Content of manifest.json.
    """
    if not selection or "verdict" not in manifest:
        return None
    candidates = selection.get("candidates", [])
    charts = [
        _chart("Balanced accuracy, %", candidates, "accuracy", "higher is better"),
        _chart("Linear CKA with the start", candidates, "cka", ""),
    ]
    rows = [["Encoder", "Balanced accuracy, %", "Difference to the start", "CKA"]]
    rows += [_row(candidate) for candidate in candidates]
    sentences = kept_sentences(selection, manifest)
    return Kept(sentences, [c for c in charts if c], rows if candidates else [])


def _row(candidate: Mapping[str, Any]) -> list[str]:
    gain = estimate_text(candidate["gain"], signed=True)
    cka = candidate["cka"]
    return [
        sentence_case(candidate_words(candidate)),
        estimate_text(candidate["accuracy"]),
        gain if candidate["share"] else NO_VALUE,
        NO_VALUE if cka is None else f"{cka:.2f}",
    ]


def _chart(
    title: str, candidates: Sequence[Mapping[str, Any]], key: str, better: str
) -> Chart | None:
    ends = [c for c in candidates if c["kind"] == "checkpoint" and c["share"] in (0, 1)]
    mixed = [c for c in candidates if c["kind"] == "interpolation"]
    lines = [
        _line("checkpoints", [c for c in candidates if c["kind"] == "checkpoint"], key),
        _line("interpolations", sorted([*ends, *mixed], key=lambda c: float(c["share"])), key),
    ]
    return line_chart(title, lines, x_label="share", dodge=5, better=better)


def _line(name: str, candidates: Sequence[Mapping[str, Any]], key: str) -> Line:
    if key == "cka":
        measured = [c for c in candidates if c[key] is not None]
        return Line(name, [(c["share"], c[key]) for c in measured], dots=True)
    points = [(c["share"], 100 * c[key]["value"]) for c in candidates]
    known = all(c[key]["low"] is not None for c in candidates)
    bars = [(100 * c[key]["low"], 100 * c[key]["high"]) for c in candidates] if known else []
    return Line(name, points, bars, dots=True)
