"""Weighted k-nearest-neighbor classification of frozen features.

Unsupervised Feature Learning via Non-Parametric Instance Discrimination,
Wu, Xiong, Yu, Lin, 2018. https://arxiv.org/abs/1805.01978
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch.nn.functional import normalize

from ... import Evaluation
from ...evaluation import EvaluationData, GradesConfig, LabeledFeatures, Pretrained, Result

_CHUNK = 512


def knn_predict(
    bank: NDArray[np.float32],
    labels: NDArray[Any],
    queries: NDArray[np.float32],
    classes: int,
    k: int,
    temperature: float,
) -> NDArray[np.float32]:
    """Classifies queries by a weighted vote of their k nearest neighbors (section 3.4).

    Args:
        bank: (n, D) features of the training images.
        labels: (n,) class numbers of the training images.
        queries: (m, D) features.
        classes: Number of classes (K).
        k: Number of neighbors; all training images if there are fewer.
        temperature: A neighbor at cosine similarity s votes with weight exp(s / temperature).

    Returns:
        (m, K) shares of the votes.
    """
    known = normalize(torch.from_numpy(bank), dim=1)
    votes_for = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    shares = torch.zeros(len(queries), classes)
    for start in range(0, len(queries), _CHUNK):
        chunk = normalize(torch.from_numpy(queries[start : start + _CHUNK]), dim=1)
        similarity, nearest = (chunk @ known.T).topk(min(k, len(known)), dim=1)
        weights = (similarity / temperature).softmax(dim=1)  # exp up to a factor per query
        shares[start : start + _CHUNK].scatter_add_(1, votes_for[nearest], weights)
    return shares.numpy()


class KNNConfig(GradesConfig):
    """Options of the evaluation: defaults of section 3.4, with a k for small datasets."""

    k: Annotated[int, Field(ge=1, description="number of neighbors that vote")] = 20
    temperature: Annotated[
        float, Field(gt=0, description="temperature of the votes' weights (tau)")
    ] = 0.07

    def idle(self) -> Iterator[str]:
        """Yields a sentence on the temperature if it was set and changes nothing."""
        if self.k == 1:
            yield from self.unused(("temperature",), "with k=1 a single neighbor votes")


class KNN(Evaluation):
    """How well do the nearest neighbors in feature space predict the class? Trains nothing."""

    Config = KNNConfig
    uses_features = True

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Classifies the test images by votes of the training and validation images."""
        features = data.features(model)
        return features.result(*self.predict(features), self.config, k=self.config.k)

    def predict(
        self, data: LabeledFeatures
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Returns shares of the votes (n_test, K), and (n_val, K) of the training images alone."""
        validation = self._votes(data, data.train, data.val) if len(data.val) else None
        return self._votes(data, data.known, data.test), validation

    def _votes(
        self, data: LabeledFeatures, bank: NDArray[np.int64], queries: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        return knn_predict(
            data.features[bank],
            data.labels[bank],
            data.features[queries],
            len(data.classes),
            self.config.k,
            self.config.temperature,
        )
