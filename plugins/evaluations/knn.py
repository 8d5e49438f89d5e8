"""Weighted k-nearest-neighbor classification of frozen features.

Unsupervised Feature Learning via Non-Parametric Instance Discrimination,
Wu, Xiong, Yu, Lin, 2018. https://arxiv.org/abs/1805.01978
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch.nn.functional import normalize

from ... import Config, Evaluation
from ...evaluation import EvaluationData, LabeledFeatures, Pretrained, Result

_CHUNK = 512


def knn_predict(
    bank: NDArray[np.float32],
    labels: NDArray[Any],
    queries: NDArray[np.float32],
    classes: int,
    k: int,
    temperature: float,
) -> NDArray[np.float32]:
    """Lets the k nearest neighbors of each query vote, section 3.4.

    Args:
        bank: (n, D) features of the training images.
        labels: (n,) their classes.
        queries: (m, D) features.
        classes: K.
        k: Number of neighbors; all if the bank is smaller.
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


class KNNConfig(Config):
    """Defaults of section 3.4, with the k usual for small sets."""

    k: Annotated[int, Field(ge=1, description="neighbors that vote")] = 20
    temperature: Annotated[float, Field(gt=0, description="of the votes' weights")] = 0.07


class KNN(Evaluation):
    """No training: how well do neighbors in feature space share a class?"""

    Config = KNNConfig

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Votes of the training and validation images on the test images."""
        found = data.features(model)
        return found.result(*self.predict(found), k=self.config.k)

    def predict(
        self, found: LabeledFeatures
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Returns (n_test, K) and, of training images alone, (n_val, K) shares of the votes."""
        validation = self._votes(found, found.train, found.val) if len(found.val) else None
        return self._votes(found, found.known, found.test), validation

    def _votes(
        self, found: LabeledFeatures, bank: NDArray[np.int64], queries: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        return knn_predict(
            found.features[bank],
            found.labels[bank],
            found.features[queries],
            len(found.classes),
            self.config.k,
            self.config.temperature,
        )
