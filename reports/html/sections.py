"""The sections of a run's report that look at images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.config import validate
from ...core.dataset import Dataset, Image
from ...core.discovery import objectives
from ...core.domain import Domain
from ...core.errors import DataError
from ...core.index import Index, evenly_spaced
from ...core.objective import Objective
from ...core.view import View
from ...data.splits import Positions, Splits
from ...data.views import Renderer
from ...evaluation.result import verdict
from ...evaluation.side_by_side import SideBySide
from ...training.run import Run
from .charts import Chart, Cloud, Line, clouds, line_chart
from .embedding import Embedded, Features, maps, neighbors, spectrum
from .facts import plural
from .pictures import Photographer, Sprite, jpeg, sprite, square

_MAP = (640, 480)  # units of the viewBox
_ON_MAP, _THUMB, _LARGE = 500, 64, 120
_MOST_CLASSES = 32  # what colors and marks can tell apart
VERDICTS = {
    "helps": "Pre-training helped",
    "hurts": "Pre-training hurt",
    "no evidence": "No evidence that pre-training made a difference",
}


@dataclass(frozen=True)
class Map:
    """A map of the embedding, ready to be drawn."""

    title: str
    clouds: list[Cloud]
    tips: list[tuple[float, float, str, int]]


@dataclass(frozen=True)
class Atlas:
    """The maps, the thumbnails of their points, and what colors mean."""

    maps: list[Map]
    sprite: Sprite
    colored_by: str
    images: int
    width: int = _MAP[0]
    height: int = _MAP[1]


def atlas(found: Embedded, dataset: Dataset, splits: Splits, domain: Domain) -> Atlas:
    """Draws the maps of at most 500 of the embedded images."""
    shown = evenly_spaced(len(found.rows), _ON_MAP)
    rows = found.rows[shown]
    photograph = Photographer(domain, dataset, _THUMB)
    classes, names, by = _colors(dataset.index, rows)
    texts = [_caption(dataset.index, splits, i) for i in rows.tolist()]
    drawn = []
    for title, places in maps(found.features):
        points = _fit(places[shown])
        tips = [(x, y, text, n) for n, ((x, y), text) in enumerate(zip(points, texts, strict=True))]
        drawn.append(Map(title, clouds(points, classes, names), tips))
    return Atlas(drawn, sprite([photograph(i) for i in rows.tolist()]), by, len(rows))


def _colors(index: Index, rows: Positions) -> tuple[list[int], Sequence[str], str]:
    """Returns each point's class, their names, and what they are: labels, groups or nothing."""
    if (index.labels[rows] >= 0).any() and len(index.classes) <= _MOST_CLASSES:
        return index.labels[rows].tolist(), index.classes, "label"
    numbers = np.unique(index.groups[rows])
    if 1 < len(numbers) <= _MOST_CLASSES:
        codes = np.searchsorted(numbers, index.groups[rows]).tolist()
        return codes, [f"group {n}" for n in numbers], "group"
    return [-1] * len(rows), (), ""


def _caption(index: Index, splits: Splits, i: int) -> str:
    """Names an image by numbers alone: its key and its group may be a patient's."""
    parts = [f"image {i}"]
    if index.labels[i] >= 0:
        parts.append(index.classes[index.labels[i]])
    parts.append(f"group {index.groups[i]}")
    if i in splits.test:
        parts.append("held out")
    return ", ".join(parts)


def _fit(places: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Fits places into the viewBox, both axes at the same scale; outliers go to the edge."""
    low, high = np.percentile(places, [0.5, 99.5], axis=0)
    room = np.array(_MAP) - 32
    scale = float((room / np.maximum(high - low, 1e-9)).min())
    moved = (places - (low + high) / 2) * [scale, -scale] + np.array(_MAP) / 2
    kept = np.clip(moved, 8, np.array(_MAP) - 8).round(1)
    return [(float(x), float(y)) for x, y in kept]


@dataclass(frozen=True)
class Picture:
    """An image on the page.

    Attributes:
        uri: Data URI.
        alt: What it is.
        note: A few words below it.
        mark: "same" or "other": whether its class is that of its query; "" if not known.
    """

    uri: str
    alt: str
    note: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Gallery:
    """Queries with their neighbors."""

    rows: list[list[Picture]]
    k: int
    across: bool
    same: float
    chance: float
    held_out: bool


def gallery(found: Embedded, dataset: Dataset, splits: Splits, domain: Domain) -> Gallery | None:
    """Shows queries, held-out images where there are any, and their nearest neighbors."""
    if len(found.rows) < 2:
        return None
    index, rows = dataset.index, found.rows
    held_out = np.flatnonzero(np.isin(rows, splits.test))
    eligible = held_out if len(held_out) else np.arange(len(rows))
    near = neighbors(found.features, index.labels[rows], index.groups[rows], eligible)
    photograph = Photographer(domain, dataset, _LARGE)

    def picture(row: int, cosine: float, query: int) -> Picture:
        i, of = int(rows[row]), int(rows[query])
        label = index.classes[index.labels[i]] if index.labels[i] >= 0 else ""
        note = " ".join(filter(None, [label, "" if row == query else f"{cosine:.2f}"]))
        known = row != query and index.labels[i] >= 0 and index.labels[of] >= 0
        mark = ("same" if index.labels[i] == index.labels[of] else "other") if known else ""
        role = "query" if row == query else f"neighbor, cosine {cosine:.2f}"
        alt = f"{role}: {_caption(index, splits, i)}"
        return Picture(jpeg(photograph(i)), alt, note, mark)

    shown = [
        [picture(q, 1.0, q), *(picture(int(r), float(c), q) for r, c in zip(n, s, strict=True))]
        for q, n, s in zip(near.queries.tolist(), near.nearest, near.cosines, strict=True)
    ]
    k = near.nearest.shape[1]
    return Gallery(shown, k, near.across, near.same, near.chance, bool(len(held_out)))


@dataclass(frozen=True)
class Sheet:
    """Images with their augmented views, and what was asked for."""

    rows: list[list[Picture]]
    requests: list[str]


def sheet(run: Run, dataset: Dataset, domain: Domain, images: int = 4, views: int = 8) -> Sheet:
    """Shows the views that the objective asks for, of some images."""
    config, kind = run.config, objectives[run.config.objective.name]
    options = validate(kind.Config, config.objective.options, "objective")
    asked = _views(kind, options, config.encoder.image_size)
    drawn = [view for view in asked for _ in range(max(1, views // len(asked)))]
    whole = View(config.encoder.image_size, policy="eval")
    renderer = Renderer(domain.policies, (whole, *drawn), dataset.channels, config.seed)
    rows = []
    for i in evenly_spaced(len(dataset), images + 2)[1:-1].tolist():
        try:
            image = dataset[i].image
        except DataError:
            continue
        rows.append([_view(renderer, image, i, v, dataset.channels) for v in range(1 + len(drawn))])
    return Sheet(rows, [_request(view) for view in asked])


def _views(kind: type[Objective], options: Any, size: int) -> list[View]:
    return list(dict.fromkeys(kind.views(options, size)))


def _request(view: View) -> str:
    low, high = (round(100 * share) for share in view.scale)
    return f"{view.size} px, policy {view.policy}, {low} to {high} % of the area"


def _view(renderer: Renderer, image: Image, i: int, v: int, channels: tuple[str, ...]) -> Picture:
    name = f"image {i}, whole" if v == 0 else f"image {i}, view {v}"
    pixels = square(renderer(image, 0, i, v), channels, 96)
    return Picture(jpeg(pixels), name, "whole" if v == 0 else "")


def spectrum_chart(features: Features, before: Features | None) -> Chart | None:
    """Draws the eigenvalues on logarithmic axes, before and after training."""
    lines = []
    for name, rows in (("after training", features), ("before training", before)):
        if rows is not None:
            values = spectrum(rows)
            ranks = np.unique(np.geomspace(1, max(len(values), 1), 120).astype(int))
            shown = [(float(r), float(values[r - 1])) for r in ranks if r <= len(values)]
            lines.append(Line(name, shown))
    return line_chart(
        "Share of the variance", lines, x_label="rank", log_x=True, log_y=True,
        size=(560, 300), box=(64, 10, 536, 262),
    )  # fmt: skip


@dataclass(frozen=True)
class Leak:
    """What is known about test images that pre-training may have seen.

    Attributes:
        words: One or two sentences.
        bad: Whether they must alarm.
    """

    words: str
    bad: bool


def leak(manifest: Mapping[str, Any], index: Index | None, splits: Splits | None) -> Leak:
    """Compares the groups that were trained on with those held out."""
    trained = set(manifest.get("groups", ()))
    if index is None or splits is None:
        return Leak(
            f"{plural(len(trained), 'group')} were pre-trained on. The images were not at hand for "
            "this report, so the test part was not looked at; 'ssl-kit evaluate' refuses to test "
            "on a group that was pre-trained on.",
            bad=False,
        )
    if not len(splits.test):
        return Leak(
            "No test part is held out: every image may have been pre-trained on. 'ssl-kit "
            "evaluate' refuses to test on them.",
            bad=False,
        )
    tested = index.group_hashes(splits.test)
    there = f"{plural(len(splits.test), 'image')} of {plural(len(tested), 'group')}"
    shared = len(trained & tested)
    if shared:
        return Leak(
            f"{shared} of the {plural(len(tested), 'test group')} were pre-trained on: figures "
            "measured on them flatter this encoder.",
            bad=True,
        )
    return Leak(
        f"{there} are held out for testing. None of these groups was pre-trained on.", bad=False
    )


@dataclass(frozen=True)
class Table:
    """Metrics of encoders: names across, a row per metric."""

    evaluation: str
    names: list[str]
    rows: list[tuple[str, list[str]]]
    verdict: str
    matrix: list[list[int]]
    classes: Sequence[str]


def evaluation(comparison: SideBySide, classes: Sequence[str]) -> Table:
    """Tabulates an evaluation in percent; the confusion matrix is that of the first encoder."""
    first = next(iter(comparison.results.values()))
    rows = []
    for metric in first.metrics:
        found = [result.metrics[metric] for result in comparison.results.values()]
        gains = [comparison.gains[metric]] if metric in comparison.gains else []
        rows.append((metric.replace("_", " "), [e.text() for e in [*found, *gains]]))
    words = VERDICTS[verdict(comparison.gain)] if comparison.gain else ""
    if comparison.gain and not math.isnan(comparison.gain.low):
        gain = comparison.gain
        words += (
            f": {100 * gain.value:+.1f} points of {first.main.replace('_', ' ')} "
            f"[{100 * gain.low:+.1f}, {100 * gain.high:+.1f}], 95 % interval."
        )
    names = [*comparison.results, *(["gain"] if comparison.gains else [])]
    matrix = first.details.get("confusion", [])
    return Table(comparison.evaluation, names, rows, words, matrix, classes)
