"""N-way K-shot episodes: new classes told apart from K labeled images of each.

Prototypical Networks for Few-shot Learning, Snell, Swersky, Zemel, 2017.
https://arxiv.org/abs/1703.05175
Features are centered and of unit length, as in SimpleShot, Wang, Chao, Weinberger, van der Maaten,
2019. https://arxiv.org/abs/1911.04623
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ... import Config, Evaluation, UsageError
from ...evaluation import EvaluationData, LabeledFeatures, Pretrained, Result


def nearest_prototype(
    support: NDArray[Any], labels: NDArray[Any], queries: NDArray[Any]
) -> NDArray[Any]:
    """Gives each query the class with the nearest mean, equations 1 and 2.

    Args:
        support: (N K, D) labeled features.
        labels: (N K,) their classes.
        queries: (m, D).

    Returns:
        (m,) classes.
    """
    classes = np.unique(labels)
    means = np.stack([support[labels == k].mean(axis=0) for k in classes])
    distances = (means**2).sum(axis=1) - 2 * queries @ means.T
    nearest: NDArray[Any] = classes[distances.argmin(axis=1)]
    return nearest


def logistic(support: NDArray[Any], labels: NDArray[Any], queries: NDArray[Any]) -> NDArray[Any]:
    """Gives each query the class of a logistic regression with C = 1; arguments as above.

    It is fitted to coordinates in the span of the support, which changes nothing: the L2 penalty
    keeps the weights in it.
    """
    basis = np.linalg.qr(support.T)[0]
    head = LogisticRegression().fit(support @ basis, labels)
    predicted: NDArray[Any] = head.predict(queries @ basis)
    return predicted


class EpisodesConfig(Config):
    """Defaults of the usual benchmark."""

    episodes: Annotated[int, Field(ge=2, description="drawn")] = 600
    ways: Annotated[int, Field(ge=2, description="N classes of an episode, or all there are")] = 5
    shots: Annotated[int, Field(ge=1, description="K labeled images of each class")] = 5
    queries: Annotated[int, Field(ge=1, description="test images of each class, at most")] = 15


@dataclass(frozen=True)
class _Rows:
    """Rows of the classes that can be asked for: to learn from, and to be asked."""

    support: list[NDArray[np.int64]]
    queries: list[NDArray[np.int64]]

    @classmethod
    def of(cls, found: LabeledFeatures, shots: int) -> _Rows:
        known, test, labels = found.known, found.test, found.labels
        pairs = [(known[labels[known] == k], test[labels[test] == k]) for k in np.unique(labels)]
        pairs = [(s, q) for s, q in pairs if len(s) >= shots and len(q)]
        if len(pairs) < 2:
            raise UsageError(
                f"Episodes of {shots} shots need two classes with {shots} labeled images outside "
                "of the test part and one in it; choose fewer with --set episodes.shots=1."
            )
        return cls([s for s, _ in pairs], [q for _, q in pairs])


class Episodes(Evaluation):
    """How well are N classes told apart from K images of each?

    The interval is over episodes, as is usual: it tells how sure the mean over such episodes is.
    """

    Config = EpisodesConfig
    quick: ClassVar[Mapping[str, Any]] = {"episodes": 100}

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Learns from images outside of the test part and asks images of it."""
        found, options = data.features(model), self.config
        rows = _Rows.of(found, options.shots)
        ways = min(options.ways, len(rows.support))
        features = found.features - found.features[found.known].mean(axis=0)
        features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        rng = np.random.default_rng(0)
        with threadpool_limits(1):  # on so few images threads cost more than they give
            right = np.array(
                [self._episode(features, rows, ways, rng) for _ in range(options.episodes)]
            )
        values = {"prototypes": right[:, 0], "logistic": right[:, 1]}
        episodes = np.arange(options.episodes)
        return Result.of_means(values, episodes, "prototypes", ways=ways, shots=options.shots)

    def _episode(
        self, features: NDArray[np.float32], rows: _Rows, ways: int, rng: np.random.Generator
    ) -> tuple[float, float]:
        """Draws an episode; returns the accuracy of prototypes and of logistic regression."""
        chosen = rng.choice(len(rows.support), ways, replace=False)
        k, q = self.config.shots, self.config.queries
        support = [rng.choice(rows.support[c], k, replace=False) for c in chosen]
        asked = [rng.permutation(rows.queries[c])[:q] for c in chosen]
        labels = np.repeat(np.arange(ways), k)
        truth = np.repeat(np.arange(ways), [len(rows) for rows in asked])
        given = (features[np.concatenate(support)], labels, features[np.concatenate(asked)])
        return (
            float((nearest_prototype(*given) == truth).mean()),
            float((logistic(*given) == truth).mean()),
        )
