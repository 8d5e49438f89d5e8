"""The sections of a run's report that show images: map, neighbors, views, and the spectrum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.config import validate
from ...core.dataset import Dataset, Image
from ...core.discovery import objectives
from ...core.domain import Domain
from ...core.errors import DataError
from ...core.index import Index, evenly_spaced
from ...core.view import View
from ...data.splits import Positions, Splits
from ...data.views import Renderer, changed
from ...training.manifest import trained_on
from ...training.run import Run
from ...training.seen import seen_in
from ..sheet import shown_sentence, with_content
from ..steps import step_text
from ..words import held_out_statement, unchecked_statement
from .charts import Chart, Cloud, Line, clouds, line_chart
from .embedding import Embedded, Features, maps, neighbors, spectrum
from .pictures import TRACES, Photographer, Sprite, jpeg, sprite, square

_MAP = (640, 480)  # units of the viewBox
_ON_MAP, _THUMB, _LARGE = 500, 64, 120
_MOST_CLASSES = 32  # what colors and marks can tell apart


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


def atlas(embedded: Embedded, dataset: Dataset, splits: Splits, domain: Domain) -> Atlas:
    """Draws the maps of at most 500 of the embedded images."""
    rows = evenly_spaced(len(embedded.positions), _ON_MAP)
    positions = embedded.positions[rows]
    photograph = Photographer(domain, dataset, _THUMB)
    classes, names, by = _colors(dataset.index, positions)
    captions = [_caption(dataset.index, splits, i) for i in positions.tolist()]
    drawn = []
    for title, coordinates in maps(embedded.features):
        points = _fit(coordinates[rows])
        tips = [(*points[n], caption, n) for n, caption in enumerate(captions)]
        drawn.append(Map(title, clouds(points, classes, names), tips))
    thumbnails = sprite([photograph(i) for i in positions.tolist()])
    return Atlas(drawn, thumbnails, by, len(positions))


def _colors(index: Index, positions: Positions) -> tuple[list[int], Sequence[str], str]:
    """Chooses the colors of points: by label, by group, or none.

    Returns:
        The class of each point, the names of the classes, and "label", "group" or "".
    """
    if (index.labels[positions] >= 0).any() and len(index.classes) <= _MOST_CLASSES:
        return index.labels[positions].tolist(), index.classes, "label"
    groups = np.unique(index.groups[positions])
    if 1 < len(groups) <= _MOST_CLASSES:
        codes = np.searchsorted(groups, index.groups[positions]).tolist()
        return codes, [f"group {n}" for n in groups], "group"
    return [-1] * len(positions), (), ""


def _caption(index: Index, splits: Splits, i: int) -> str:
    """Describes an image by numbers only, because its key or group may name a patient."""
    parts = [f"image {i}"]
    if index.labels[i] >= 0:
        parts.append(index.classes[index.labels[i]])
    parts.append(f"group {index.groups[i]}")
    if i in splits.test:
        parts.append("held out")
    return ", ".join(parts)


def _fit(coordinates: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Scales coordinates into the viewBox, the same in x and y; outliers are moved to the edge."""
    low, high = np.percentile(coordinates, [0.5, 99.5], axis=0)
    room = np.array(_MAP) - 32
    scale = float((room / np.maximum(high - low, 1e-9)).min())
    moved = (coordinates - (low + high) / 2) * [scale, -scale] + np.array(_MAP) / 2
    clipped = np.clip(moved, 8, np.array(_MAP) - 8).round(1)
    return [(float(x), float(y)) for x, y in clipped]


@dataclass(frozen=True)
class Picture:
    """An image on the page.

    Attributes:
        uri: Data URI.
        alt: Description for readers who cannot see it.
        note: Caption below it.
        mark: "same" or "other" than the class of its query; "" if a label is missing.
    """

    uri: str
    alt: str
    note: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Gallery:
    """Query images with their k nearest neighbors; see `Neighbors`."""

    rows: list[list[Picture]]
    k: int
    across: bool
    held_out: bool


def gallery(embedded: Embedded, dataset: Dataset, splits: Splits, domain: Domain) -> Gallery | None:
    """Shows queries, held-out images where there are any, and their nearest neighbors."""
    if len(embedded.positions) < 2:
        return None
    index, positions = dataset.index, embedded.positions
    held_out = np.flatnonzero(np.isin(positions, splits.test))
    eligible = held_out if len(held_out) else np.arange(len(positions))
    labels, groups = index.labels[positions], index.groups[positions]
    nearest = neighbors(embedded.features, labels, groups, eligible)
    photograph = Photographer(domain, dataset, _LARGE)

    def picture(row: int, query: int, cosine: float = 1.0) -> Picture:
        is_query, i, label = row == query, int(positions[row]), labels[row]
        name = index.classes[label] if label >= 0 else ""
        note = " ".join(filter(None, [name, "" if is_query else f"{cosine:.2f}"]))
        comparable = not is_query and label >= 0 and labels[query] >= 0
        mark = ("same" if label == labels[query] else "other") if comparable else ""
        role = "query" if is_query else f"neighbor, cosine {cosine:.2f}"
        return Picture(jpeg(photograph(i)), f"{role}: {_caption(index, splits, i)}", note, mark)

    rows = [
        [picture(q, q), *(picture(int(r), q, float(c)) for r, c in zip(near, cosines, strict=True))]
        for q, near, cosines in zip(
            nearest.queries.tolist(), nearest.nearest, nearest.cosines, strict=True
        )
    ]
    return Gallery(rows, nearest.nearest.shape[1], nearest.across, bool(len(held_out)))


@dataclass(frozen=True)
class Sheet:
    """Images with their augmented views, the requests for these views, and what colors show."""

    rows: list[list[Picture]]
    requests: list[str]
    shown: str


def sheet(run: Run, dataset: Dataset, domain: Domain, images: int = 4, views: int = 8) -> Sheet:
    """Shows the augmented views that the objective requests, for some images."""
    config, kind = run.config, objectives[run.config.objective.name]
    options = validate(kind.Config, config.objective.options, "objective")
    asked = kind.views(options, config.encoder.image_size)
    policy, area = config.views.policy, config.views.min_area
    requests = list(dict.fromkeys(changed(view, policy, area) for view in asked))
    repeated = [
        view
        for view in requests
        for _ in range(1 if view.policy == "eval" else max(1, views // len(requests)))
    ]
    whole = View(config.encoder.image_size, policy="eval")
    renderer = Renderer(domain.policies, (whole, *repeated), dataset.channels, config.seed)
    try:
        examples = with_content(dataset, images)
    except DataError:
        examples = []
    numbers = range(1 + len(repeated))
    rows = [[_view(renderer, image, i, v, dataset) for v in numbers] for i, image in examples]
    signal = any(renderer(image, 0, i, 0).shape[0] == 1 for i, image in examples[:1])
    shown = shown_sentence(dataset.channels, TRACES if signal else 0)
    return Sheet(rows, [_request(view) for view in requests], shown)


def _request(view: View) -> str:
    words = f"{view.size} px, policy '{view.policy}'"
    low, high = (round(100 * share) for share in view.scale)
    asked = (
        f"crops of {low} to {high} % of the area as the objective asks (the policy may limit them)"
    )
    return words if view.policy == "eval" else f"{words}, {asked}"


def _view(renderer: Renderer, image: Image, i: int, v: int, dataset: Dataset) -> Picture:
    name = f"image {i}, not augmented" if v == 0 else f"image {i}, view {v}"
    pixels = square(renderer(image, 0, i, v), dataset.channels, _LARGE)
    if v == 0:
        return Picture(jpeg(pixels), name, f"original {dataset.index.label(i)}".rstrip())
    steps = renderer.applied(image, 0, i, v)
    caption = "\n".join(step_text(step, dataset.channels) for step in steps)
    return Picture(jpeg(pixels), name, caption.replace("/", "/\N{ZERO WIDTH SPACE}"))


def spectrum_chart(features: Features, before: Features | None) -> Chart | None:
    """Draws the eigenvalues on logarithmic axes, before and after training."""
    lines = []
    for name, embedded in (("after training", features), ("before training", before)):
        if embedded is not None:
            values = spectrum(embedded)
            ranks = np.unique(np.geomspace(1, max(len(values), 1), 120).astype(int))
            points = [(float(r), float(values[r - 1])) for r in ranks if r <= len(values)]
            lines.append(Line(name, points))
    return line_chart(
        "Share of the variance",
        lines,
        x_label="rank",
        log_x=True,
        log_y=True,
        size=(560, 300),
        box=(64, 10, 536, 262),
        better="flatter is better",
    )


@dataclass(frozen=True)
class Leak:
    """Whether test images may have been used for pre-training.

    Attributes:
        words: One or two sentences.
        bad: Whether some were used.
    """

    words: str
    bad: bool


def leak(
    manifest: Mapping[str, Any],
    index: Index | None,
    splits: Splits | None,
    path: Path | None = None,
) -> Leak:
    """Compares the groups that the run was trained on with those of the test set.

    Args:
        manifest: Of the run.
        index: Of the images.
        splits: Their parts.
        path: Their file or folder, which may be above or below that of the run.
    """
    parts = [part for part in trained_on(manifest) if "groups" in part]
    trained = {group for part in parts for group in seen_in(part, index, path).groups}
    if index is None or splits is None:
        return Leak(unchecked_statement(len(trained)), bad=False)
    tested = index.group_hashes(splits.test) if len(splits.test) else set()
    shared = len(trained & tested)
    return Leak(held_out_statement(len(splits.test), len(tested), shared), bad=shared > 0)
