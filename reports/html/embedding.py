"""What a report shows of the features: a map, neighbors, the spectrum and a quick kNN."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.dataset import Dataset
from ...core.discovery import evaluations
from ...core.domain import Domain
from ...core.errors import SslKitError
from ...data.process import seeded
from ...data.splits import Positions, Splits
from ...evaluation.data import EvaluationData, LabeledFeatures
from ...evaluation.evaluation import Evaluation
from ...evaluation.pretrained import Pretrained, embed
from ...evaluation.side_by_side import SideBySide, evaluate_side_by_side
from ...nn.weights import create_encoder, load_initial_weights
from ...training.run import Run

MOST_IMAGES = 3000
Features = NDArray[np.float32]


@dataclass(frozen=True)
class Embedded:
    """Images and their features.

    Attributes:
        model: The run's encoder.
        start: The same with its initial weights, None where they are not at hand.
        features: (n, D), of the run's encoder.
        start_features: (n, D), of the initial one.
        rows: (n,) positions of the images in the dataset.
        of: How many images there are in all.
    """

    model: Pretrained
    start: Pretrained | None
    features: Features
    start_features: Features | None
    rows: Positions
    of: int


def embed_sample(run: Run, model: Pretrained, dataset: Dataset, domain: Domain) -> Embedded:
    """Embeds the images, or `MOST_IMAGES` of them evenly spread, before and after training."""
    chosen = np.unique(np.linspace(0, len(dataset) - 1, MOST_IMAGES).astype(int))
    features, rows, _ = embed(model, dataset, chosen, domain)
    start = initial(run, model)
    before = embed(start, dataset, rows, domain)[0] if start else None
    return Embedded(model, start, features, before, rows, len(dataset))


def initial(run: Run, model: Pretrained) -> Pretrained | None:
    """Makes the encoder that the run started from; None if its weights are not at hand."""
    config = run.config
    try:
        with seeded(config.seed):  # as when the run was built: the same random weights
            encoder = create_encoder(config.encoder.name, len(model.channels), model.image_size)
            loaded = load_initial_weights(encoder, config.encoder.init, model.channels)
    except (SslKitError, OSError):  # weights moved, or no network
        return None
    name = "untrained" if config.encoder.init == "scratch" else "initial weights"
    return Pretrained(name, encoder, model.channels, model.statistics, model.image_size, loaded)


def spectrum(features: Features) -> NDArray[np.float64]:
    """Returns the eigenvalues of the covariance, largest first, as shares of their sum."""
    centered = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    values = np.linalg.svd(centered, compute_uv=False) ** 2
    kept = values[values > values[0] * 1e-12] if values[0] > 0 else values[:0]
    return np.asarray(kept / kept.sum() if len(kept) else kept)


def maps(features: Features) -> list[tuple[str, NDArray[np.float64]]]:
    """Lays the features out in the plane: principal components, and UMAP where it is installed.

    Returns:
        A title and (n, 2) places for each.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    centered = unit.astype(np.float64) - unit.mean(axis=0, dtype=np.float64)
    u, s, _ = np.linalg.svd(centered, full_matrices=False)
    places = np.zeros((len(features), 2))
    places[:, : min(2, len(s))] = (u * s)[:, :2]
    share = 100 * (s[:2] ** 2).sum() / max((s**2).sum(), 1e-300)
    found = [(f"Two principal components, {share:.0f} % of the variance", places)]
    if find_spec("umap") and len(features) > 15:
        umap: Any = importlib.import_module("umap")
        reducer = umap.UMAP(metric="cosine", random_state=0, n_jobs=1)
        found.append(
            ("UMAP of the cosine distances", np.asarray(reducer.fit_transform(unit), float))
        )
    return found


@dataclass(frozen=True)
class Neighbors:
    """Images and what the encoder finds most like them, as rows of the features.

    Attributes:
        queries: (q,) rows.
        nearest: (q, k) rows, the nearest first.
        cosines: (q, k).
        same: Share of the k nearest that have the class of their query, over all labeled images.
        chance: What a random order would give; both NaN without labels.
        across: Whether neighbors are always from another group.
    """

    queries: Positions
    nearest: Positions
    cosines: NDArray[np.float64]
    same: float
    chance: float
    across: bool


def neighbors(
    features: Features,
    labels: NDArray[Any],
    groups: NDArray[Any],
    eligible: Positions,
    queries: int = 6,
    k: int = 5,
) -> Neighbors:
    """Finds the k nearest images by cosine, from other groups than the query's.

    Args:
        features: (n, D).
        labels: (n,) class numbers, -1 for none.
        groups: (n,) group numbers.
        eligible: Rows that may be queries.
        queries: How many are shown, evenly spread over the classes.
        k: Neighbors; fewer if there are not as many images.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    cosines = (unit @ unit.T).astype(np.float64)
    others = groups[:, None] != groups
    across = bool((others.sum(axis=1) >= k).all())
    allowed = others if across else ~np.eye(len(features), dtype=bool)
    cosines[~allowed] = -np.inf
    k = min(k, len(features) - 1)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    by_class = eligible[np.argsort(labels[eligible], kind="stable")]
    middle = (np.arange(queries) + 0.5) / queries * len(by_class)
    shown = by_class[np.unique(np.minimum(middle.astype(int), len(by_class) - 1))]
    same, chance = float("nan"), float("nan")
    labeled = labels >= 0
    if labeled.any() and k > 0:
        same = float((labels[order] == labels[:, None])[labeled].mean())
        shares = np.bincount(labels[labeled]) / len(labels)
        chance = float((np.bincount(labels[labeled]) / labeled.sum()) @ shares)
    near = order[shown]
    return Neighbors(
        shown, near, np.take_along_axis(cosines[shown], near, axis=1), same, chance, across
    )


@dataclass(frozen=True)
class _Ready(EvaluationData):
    """Data whose features are there already."""

    ready: dict[int, LabeledFeatures] = field(default_factory=dict)

    def features(self, model: Pretrained) -> LabeledFeatures:
        """Returns the features of a model; nothing is embedded again."""
        return self.ready[id(model)]


def quick_knn(
    found: Embedded, dataset: Dataset, splits: Splits, domain: Domain
) -> SideBySide | None:
    """Evaluates kNN on what is embedded, the initial encoder beside; None without labels."""
    labels = dataset.index.labels[found.rows]
    chosen = np.flatnonzero(labels >= 0)
    rows = found.rows[chosen]
    parts = [np.flatnonzero(np.isin(rows, p)) for p in (splits.train, splits.val, splits.test)]
    if not (len(parts[0]) + len(parts[1]) and len(parts[2])):
        return None
    groups = dataset.index.groups[rows]
    models, ready = [found.model], {}
    ready[id(found.model)] = found.features
    if found.start is not None and found.start_features is not None:
        models.append(found.start)
        ready[id(found.start)] = found.start_features
    labeled = {
        key: LabeledFeatures(
            features[chosen], labels[chosen], groups, dataset.index.classes, *parts
        )
        for key, features in ready.items()
    }
    data = _Ready(dataset, splits, domain, ready=labeled)
    kind: type[Evaluation] = evaluations["knn"]
    return evaluate_side_by_side(models, data, {"knn": kind(kind.Config())})[0]
