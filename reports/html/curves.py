"""The curves of a run: what was recorded of its training, and the measures of collapse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..words import sentence_case, spaced
from .axes import number
from .charts import Chart, Line, line_chart
from .facts import Record

_MEASURES = {
    "rankme": ("RankMe", "effective rank of the features; higher is better"),
    "rankme_centered": ("RankMe, centered", "effective rank after the mean is subtracted"),
    "feature_std": ("Standard deviation", "of L2-normalized features; 1 is best, 0 is collapse"),
    "mean_cosine": ("Mean cosine", "between different images; 1 is complete collapse"),
    "alpha_req": ("alpha-ReQ", "decay of the eigenvalues of the covariance; near 1 is best"),
    "lidar": (
        "LiDAR",
        "effective rank of what differs between images; higher is better. *: says little, because "
        "there are more dimensions than degrees of freedom within images",
    ),
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
    beside = ("alpha_req_r2", "lidar_freedom")
    known |= {*beside, *(f"projected_{name}" for name in beside)}
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
        mark = "*" if key.endswith("lidar") and values.get(f"{key}_freedom", 1) < 1 else ""
        return number(float(values[key])) + mark if key in values else ""

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
