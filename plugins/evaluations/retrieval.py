"""Retrieval: are the images nearest to a test image of the same class?"""

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
    """Ranks the gallery by similarity to each query, and scores the ranking.

    Args:
        similarity: (m, n) similarities of queries and gallery images.
        relevant: (m, n) whether they share a class.
        allowed: (m, n) whether a gallery image is ranked for a query.

    Returns:
        (m,) average precision "map": the mean, over relevant images, of the precision at their
        rank; and "recall@k": 1 if any of the first k images is relevant. NaN where no relevant
        image is allowed.
    """
    ranked = np.argsort(np.where(allowed, -similarity, np.inf), axis=1, kind="stable")
    hits = np.take_along_axis(relevant & allowed, ranked, axis=1)
    total = hits.sum(axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    scores = {"map": (precision * hits).sum(axis=1) / np.maximum(total, 1)}
    scores |= {f"recall@{k}": hits[:, :k].any(axis=1).astype(np.float64) for k in RANKS}
    return {name: np.where(total > 0, value, np.nan) for name, value in scores.items()}


class Retrieval(Evaluation):
    """Are the training images nearest to a test image of the same class? Trains nothing."""

    uses_features = True

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Ranks training and validation images of other groups by cosine to each test image."""
        embedded = data.features(model)
        gallery, labels, groups = embedded.known, embedded.labels, embedded.groups
        known = unit(embedded.features[gallery])
        parts: list[dict[str, NDArray[np.float64]]] = []
        for start in range(0, len(embedded.test), _CHUNK):
            queries = embedded.test[start : start + _CHUNK]
            parts.append(
                retrieve(
                    unit(embedded.features[queries]) @ known.T,
                    labels[queries][:, None] == labels[gallery],
                    groups[queries][:, None] != groups[gallery],
                )
            )
        values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        answerable = ~np.isnan(values["map"])
        if not answerable.any():
            raise UsageError(
                "No test image has the class of a training or validation image of another group. "
                "Label more images, or give --labels a CSV with a column 'split'."
            )
        queries = embedded.test[answerable]
        values = {name: value[answerable] for name, value in values.items()}
        return Result.of_means(values, groups[queries], "map", queries=len(queries))
