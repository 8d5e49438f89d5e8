"""Weighted k-nearest-neighbour classification of frozen features.

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

from ssl_kit import Config, Evaluation, EvaluationData, Pretrained, Result, confusion_by_group

_CHUNK = 1024


def knn_predict(
    bank: NDArray[np.float32],
    labels: NDArray[Any],
    queries: NDArray[np.float32],
    classes: int,
    k: int,
    temperature: float,
) -> NDArray[np.int64]:
    """Predicts each query by the votes of its k nearest neighbours, section 3.4.

    Args:
        bank: (n, D) features of the training images.
        labels: (n,) their classes.
        queries: (m, D) features.
        classes: K.
        k: Number of neighbours; all if the bank is smaller.
        temperature: A neighbour at cosine similarity s votes with weight exp(s / temperature).

    Returns:
        (m,) classes.
    """
    known = normalize(torch.from_numpy(bank), dim=1)
    votes_for = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    predictions = []
    for chunk in torch.split(normalize(torch.from_numpy(queries), dim=1), _CHUNK):
        similarity, nearest = (chunk @ known.T).topk(min(k, len(known)), dim=1)
        weights = (similarity / temperature).softmax(dim=1)  # exp up to a factor per query
        votes = torch.zeros(len(chunk), classes).scatter_add_(1, votes_for[nearest], weights)
        predictions.append(votes.argmax(dim=1))
    return torch.cat(predictions).numpy()


class KNNConfig(Config):
    """Defaults of section 3.4, with the k usual for small sets."""

    k: Annotated[int, Field(ge=1, description="neighbours that vote")] = 20
    temperature: Annotated[float, Field(gt=0, description="of the votes' weights")] = 0.07


class KNN(Evaluation):
    """No training: how well do neighbours in feature space share a class?"""

    Config = KNNConfig

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Votes of the training and validation images on the test images."""
        found = data.features(model)
        bank = np.concatenate([found.train, found.val])
        predictions = knn_predict(
            found.features[bank],
            found.labels[bank],
            found.features[found.test],
            len(found.classes),
            self.config.k,
            self.config.temperature,
        )
        test = found.test
        counts = confusion_by_group(
            found.labels[test], predictions, found.groups[test], len(found.classes)
        )
        return Result.of_classification(found, counts, k=self.config.k)
