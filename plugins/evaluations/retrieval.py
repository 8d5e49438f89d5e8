"""Retrieval: do the images nearest to a test image show the same class?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import Evaluation, UsageError
from ...evaluation import EvaluationData, Pretrained, Result

_CHUNK = 256
RANKS = (1, 5, 10)


def unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scales rows to unit length."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = features / np.maximum(lengths, 1e-12)
    return scaled


def retrieve(
    similarity: NDArray[Any], relevant: NDArray[np.bool_], allowed: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """Ranks the gallery for each query, the most similar first.

    Args:
        similarity: (m, n) of queries and gallery.
        relevant: (m, n) whether they share a class.
        allowed: (m, n) whether an image of the gallery counts for a query.

    Returns:
        (m,) average precision "map": the mean, over relevant images, of the share of relevant ones
        among those ranked up to it; and "recall@k": 1 if any of the first k is relevant. NaN where
        nothing relevant is allowed.
    """
    ranked = np.argsort(np.where(allowed, -similarity, np.inf), axis=1, kind="stable")
    hits = np.take_along_axis(relevant & allowed, ranked, axis=1)
    total = hits.sum(axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    found = {"map": (precision * hits).sum(axis=1) / np.maximum(total, 1)}
    found |= {f"recall@{k}": hits[:, :k].any(axis=1).astype(np.float64) for k in RANKS}
    return {name: np.where(total > 0, value, np.nan) for name, value in found.items()}


class Retrieval(Evaluation):
    """Do the nearest training images show the same class as a test image? Nothing is trained."""

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Test images ask; training and validation images of other groups are ranked by cosine."""
        found = data.features(model)
        gallery, labels, groups = found.known, found.labels, found.groups
        known = unit(found.features[gallery])
        parts: list[dict[str, NDArray[np.float64]]] = []
        for start in range(0, len(found.test), _CHUNK):
            asked = found.test[start : start + _CHUNK]
            parts.append(
                retrieve(
                    unit(found.features[asked]) @ known.T,
                    labels[asked][:, None] == labels[gallery],
                    groups[asked][:, None] != groups[gallery],
                )
            )
        values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        there = ~np.isnan(values["map"])
        if not there.any():
            raise UsageError("No test image shares its class with any image outside of the test.")
        asked = found.test[there]
        values = {name: value[there] for name, value in values.items()}
        return Result.of_means(values, groups[asked], "map", queries=len(asked))
