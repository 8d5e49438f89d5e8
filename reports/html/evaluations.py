"""The evaluations of a run on its page: tables of metrics and classes, verdicts and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...evaluation.records import StoredEvaluation, name_of_images
from ...evaluation.result import Result
from ..metrics import at_threshold, direction, labels_bought
from ..text import below_table, columns, group_rows, judged, metric_cells
from ..words import (
    VERDICTS,
    leak_warning,
    percent_text,
    sentence_case,
    spaced,
)


@dataclass(frozen=True)
class Section:
    """A stored evaluation, ready to be shown.

    Attributes:
        name: Of the evaluation and of its images.
        verdict: Whether pre-training helped, as a sentence; "" without a control.
        tone: Of the verdict: "good", "bad" or "".
        warning: Whether the run was pre-trained on test groups, "" if not.
        stale: Whether the run's encoder has changed since.
        encoders: Column names of `metrics`; the third is the gain if there is a control.
        metrics: Name of each metric, with the value and the interval for each column.
        columns: Column names of `classes`.
        classes: Class and its values, of the run's encoder.
        groups: Number of a test group, number of images, and the score of each encoder.
        score: Name of the metric that `groups` shows.
        confusion: (K, K) counts of the run's encoder, true classes in rows; may be empty.
        class_names: K names.
        remarks: Sentences on the test set, and those of the evaluation itself.
        facts: Names and values: images and time.
        command: That made it; "" if it is not known.
        again: Command that evaluates again.
        percent: Whether the metrics are shares.
        models: Names of the encoders alone.
    """

    name: str
    verdict: str
    tone: str
    warning: str
    stale: bool
    encoders: list[str]
    metrics: list[tuple[str, list[tuple[str, str]]]]
    columns: list[str]
    classes: list[tuple[str, list[str]]]
    groups: list[list[str]]
    score: str
    confusion: list[list[int]]
    class_names: list[str]
    remarks: Sequence[str]
    facts: list[tuple[str, str]]
    command: str
    again: str
    percent: bool
    models: list[str]


def section(stored: StoredEvaluation) -> Section:
    """Words a stored evaluation; the classes and the confusion are of the run's encoder."""
    results = stored.results
    first = next(iter(results.results.values()))
    headings, classes = _classes(first)
    return Section(
        name=f"{results.evaluation} on {name_of_images(stored.data)}",
        verdict=" ".join(judged(results, stored.shared)),
        tone=VERDICTS[results.verdict].tone if results.gain and not stored.shared else "",
        warning=leak_warning(stored.shared) if stored.shared else "",
        stale=stored.stale,
        encoders=columns(list(results.results), "gain" if results.gains else ""),
        metrics=[
            (_heading(name, first.details.get("labels")), metric_cells(results, name))
            for name in first.metrics
        ],
        columns=headings,
        classes=classes,
        groups=group_rows(results),
        score=sentence_case(spaced(first.details.get("group_score", first.main))),
        confusion=first.details.get("confusion", []),
        class_names=[str(row["class"]) for row in first.rows],
        remarks=[*below_table(results), *first.details.get("remarks", ())],
        facts=[
            ("Images", stored.data["path"] or "the demo images of the domain"),
            ("Domain", stored.data["domain"]),
            ("Fingerprint", stored.data["fingerprint"]),
            ("Evaluated", stored.time.replace("T", " ")),
        ],
        command=stored.command,
        again=stored.command or f"ssl-kit evaluate RUN --evaluation {results.evaluation}",
        percent=bool(first.main),
        models=list(results.results),
    )


def _heading(metric: str, labels: object) -> str:
    """Returns the name of a metric with what a reader must know of it."""
    remarks = labels_bought(metric, labels) + direction(metric) + at_threshold(metric)
    return spaced(metric) + remarks


def _classes(result: Result) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Returns the columns of the table of classes, and a row for each class."""
    columns = [name for name in (result.rows[0] if result.rows else ()) if name != "class"]
    rows = [(str(row["class"]), [_cell(row[name]) for name in columns]) for row in result.rows]
    unit = f"{result.unit}s"
    return [unit if name == "images" else spaced(name) for name in columns], rows


def _cell(value: float) -> str:
    """Writes a count as it is and a share in percent."""
    return f"{value:,}" if isinstance(value, int) else percent_text(value)
