"""The features of a run's encoder as a report shows them: spectrum, maps, nearest neighbors."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.dataset import Dataset
from ...core.domain import Domain
from ...core.errors import SslKitError
from ...core.index import evenly_spaced
from ...data.splits import Positions
from ...evaluation.beside_start import start_of
from ...evaluation.pretrained import Pretrained, embed
from ...training.run import Run

MOST_IMAGES = 3000
Features = NDArray[np.float32]


@dataclass(frozen=True)
class Embedded:
    """Images and their features.

    Attributes:
        features: (n, D) features of the run's encoder.
        initial_features: (n, D) features of the encoder that training started from; None where
            its weights are not available.
        positions: (n,) positions of the images in the dataset.
        total: Number of images in the dataset.
    """

    features: Features
    initial_features: Features | None
    positions: Positions
    total: int


def embed_sample(run: Run, model: Pretrained, dataset: Dataset, domain: Domain) -> Embedded:
    """Embeds all images, or `MOST_IMAGES` evenly spread ones, before and after training."""
    chosen = evenly_spaced(len(dataset), MOST_IMAGES)
    features, positions, _ = embed(model, dataset, chosen, domain)
    start = initial(run, model)
    initial_features = embed(start, dataset, positions, domain)[0] if start else None
    return Embedded(features, initial_features, positions, len(dataset))


def initial(run: Run, model: Pretrained) -> Pretrained | None:
    """Makes the encoder that the run started from; None if its weights are not available."""
    try:
        return start_of(run, model)
    except (SslKitError, OSError):  # weights moved, or no network
        return None


def spectrum(features: Features) -> NDArray[np.float64]:
    """Returns the eigenvalues of the covariance, largest first, as shares of their sum."""
    centered = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    values = np.linalg.svd(centered, compute_uv=False) ** 2
    kept = values[values > values[0] * 1e-12] if values[0] > 0 else values[:0]
    return np.asarray(kept / kept.sum() if len(kept) else kept)


def maps(features: Features) -> list[tuple[str, NDArray[np.float64]]]:
    """Projects the features to two dimensions by PCA, and by UMAP where it is installed.

    Returns:
        A title and (n, 2) coordinates for each.
    """
    unit = _normalized(features)
    centered = unit.astype(np.float64) - unit.mean(axis=0, dtype=np.float64)
    u, s, _ = np.linalg.svd(centered, full_matrices=False)
    coordinates = np.zeros((len(features), 2))
    coordinates[:, : min(2, len(s))] = (u * s)[:, :2]
    share = 100 * (s[:2] ** 2).sum() / max((s**2).sum(), 1e-300)
    projections = [(f"First two principal components, {share:.0f} % of the variance", coordinates)]
    if find_spec("umap") and len(features) > 15:
        umap: Any = importlib.import_module("umap")
        reducer = umap.UMAP(metric="cosine", random_state=0, n_jobs=1)
        embedded = np.asarray(reducer.fit_transform(unit), float)
        projections.append(("UMAP of the cosine distances", embedded))
    return projections


def _normalized(features: Features) -> Features:
    """Scales each feature vector to unit length."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, 1e-12), dtype=np.float32)


@dataclass(frozen=True)
class Neighbors:
    """Images and their nearest neighbors, as rows of the features.

    Attributes:
        queries: (q,) rows.
        nearest: (q, k) rows, the nearest first.
        cosines: (q, k) cosine similarities to the query.
        across: Whether neighbors are always from another group than the query.
    """

    queries: Positions
    nearest: Positions
    cosines: NDArray[np.float64]
    across: bool


def neighbors(
    features: Features,
    labels: NDArray[Any],
    groups: NDArray[Any],
    eligible: Positions,
    queries: int = 6,
    k: int = 5,
) -> Neighbors:
    """Finds the k nearest images by cosine, from other groups than that of the query.

    If some image has fewer than k images in other groups, images of its own group count too.

    Args:
        features: (n, D).
        labels: (n,) class numbers, -1 for none.
        groups: (n,) group numbers.
        eligible: Rows that may be queries.
        queries: Number of queries, evenly spread over the classes.
        k: Number of neighbors; fewer if there are not as many images.
    """
    unit = _normalized(features)
    sizes = np.unique(groups, return_counts=True)[1]
    across = bool(len(features) - sizes.max() >= k)
    by_class = eligible[np.argsort(labels[eligible], kind="stable")]
    middle = (np.arange(queries) + 0.5) / queries * len(by_class)
    chosen = by_class[np.unique(np.minimum(middle.astype(int), len(by_class) - 1))]
    cosines = (unit[chosen] @ unit.T).astype(np.float64)
    allowed = groups[chosen, None] != groups if across else chosen[:, None] != np.arange(len(unit))
    cosines[~allowed] = -np.inf
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, : min(k, len(features) - 1)]
    return Neighbors(chosen, nearest, np.take_along_axis(cosines, nearest, axis=1), across)
