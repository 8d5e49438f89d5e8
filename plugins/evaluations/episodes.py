"""N-way K-shot episodes: few-shot classification from K labeled images of N classes.

Prototypical Networks for Few-shot Learning, Snell, Swersky, Zemel, 2017.
https://arxiv.org/abs/1703.05175
Features are centered and of unit length, as in SimpleShot, Wang, Chao, Weinberger, van der Maaten,
2019. https://arxiv.org/abs/1911.04623
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ... import Config, Evaluation, UsageError
from ...evaluation import EvaluationData, LabeledFeatures, Pretrained, Result, counted


def nearest_prototype(
    support: NDArray[Any], labels: NDArray[Any], queries: NDArray[Any]
) -> NDArray[Any]:
    """Gives each query the class with the nearest prototype, the mean of its support (eq. 1, 2).

    Args:
        support: (N K, D) features of the support images.
        labels: (N K,) class numbers of the support images.
        queries: (m, D) features.

    Returns:
        (m,) class numbers.
    """
    classes = np.unique(labels)
    means = np.stack([support[labels == k].mean(axis=0) for k in classes])
    distances = (means**2).sum(axis=1) - 2 * queries @ means.T
    nearest: NDArray[Any] = classes[distances.argmin(axis=1)]
    return nearest


def logistic(support: NDArray[Any], labels: NDArray[Any], queries: NDArray[Any]) -> NDArray[Any]:
    """Gives each query the class of a logistic regression with C = 1; see `nearest_prototype`.

    It is fitted to coordinates in the span of the support. That changes no prediction, because the
    L2 penalty keeps the weights in the span.
    """
    basis = np.linalg.qr(support.T)[0]
    head = LogisticRegression().fit(support @ basis, labels)
    predicted: NDArray[Any] = head.predict(queries @ basis)
    return predicted


class EpisodesConfig(Config):
    """Options of the evaluation; the defaults are those of the usual benchmark."""

    episodes: Annotated[int, Field(ge=2, description="number of episodes")] = 600
    ways: Annotated[int, Field(ge=2, description="largest number of classes in an episode (N)")] = 5
    shots: Annotated[int, Field(ge=1, description="number of support images per class (K)")] = 5
    queries: Annotated[int, Field(ge=1, description="largest number of queries per class")] = 15


@dataclass(frozen=True)
class _Rows:
    """Rows of the features of each class: the possible support, and the possible queries."""

    support: list[NDArray[np.int64]]
    queries: list[NDArray[np.int64]]

    @classmethod
    def of(cls, data: LabeledFeatures, shots: int) -> _Rows:
        known, test, labels = data.known, data.test, data.labels
        pairs = [(known[labels[known] == k], test[labels[test] == k]) for k in np.unique(labels)]
        pairs = [(s, q) for s, q in pairs if len(s) >= shots and len(q)]
        if len(pairs) < 2:
            raise UsageError(
                f"Episodes of {shots} shots need two classes with {shots} labeled images outside "
                "of the test part and one in it. Choose fewer with --set episodes.shots=1."
            )
        return cls([s for s, _ in pairs], [q for _, q in pairs])


class Episodes(Evaluation):
    """How well are N classes distinguished after learning from K images of each?

    The metrics are means over all queries of all episodes; their intervals are over the groups of
    the test part. Intervals over episodes, which are usual, tell nothing of other images.
    """

    Config = EpisodesConfig
    uses_features = True
    quick: ClassVar[Mapping[str, Any]] = {"episodes": 100}

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Draws support images outside of the test part, and queries from it."""
        embedded, options = data.features(model), self.config
        rows = _Rows.of(embedded, options.shots)
        ways = min(options.ways, len(rows.support))
        features = embedded.features - embedded.features[embedded.known].mean(axis=0)
        features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        rng = np.random.default_rng(0)
        with threadpool_limits(1):  # on so few images threads cost more than they give
            parts = [
                self._episode(features, rows, ways, rng)
                for _ in counted(range(options.episodes), "episode")
            ]
        queries, *right = (np.concatenate(each) for each in zip(*parts, strict=True))
        values = dict(zip(("prototypes", "logistic"), right, strict=True))
        facts = {"episodes": options.episodes, "ways": ways, "shots": options.shots}
        result = Result.of_means(values, embedded.groups[queries], "prototypes", **facts)
        return replace(result, images=len(np.unique(queries)))

    def _episode(
        self, features: NDArray[np.float32], rows: _Rows, ways: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
        """Draws an episode.

        Returns:
            (q,) rows of the queries, and whether prototypes and logistic regression are right.
        """
        chosen = rng.choice(len(rows.support), ways, replace=False)
        k, q = self.config.shots, self.config.queries
        support = [rng.choice(rows.support[c], k, replace=False) for c in chosen]
        queries = [rng.permutation(rows.queries[c])[:q] for c in chosen]
        labels = np.repeat(np.arange(ways), k)
        truth = np.repeat(np.arange(ways), [len(rows) for rows in queries])
        asked = np.concatenate(queries)
        given = (features[np.concatenate(support)], labels, features[asked])
        return (
            asked,
            (nearest_prototype(*given) == truth).astype(np.float64),
            (logistic(*given) == truth).astype(np.float64),
        )
