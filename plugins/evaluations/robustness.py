"""What is left of the accuracy when images get worse in ways that the domain names.

Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, Hendrycks,
Dietterich, 2019. https://arxiv.org/abs/1903.12261
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ... import Config, Evaluation, UsageError
from ...evaluation import EvaluationData, Pretrained, Result
from .knn import KNN, KNNConfig
from .linear import Linear, LinearConfig


class RobustnessConfig(Config):
    """Options of the evaluation."""

    head: Annotated[Literal["knn", "linear"], Field(description="on the frozen features")] = "knn"


class Robustness(Evaluation):
    """How much accuracy is left at each strength of each corruption that the domain names?

    The head learns from images as they are; only test images are corrupted.
    """

    Config = RobustnessConfig

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Trains one head and asks it for the test images at every strength."""
        found = data.features(model)
        altered = dict(self._altered(model, data))
        times, n = len(altered), len(found.test)
        features = np.concatenate([found.features, *altered.values()])
        more = np.arange(len(found.features), len(features))
        worse = replace(
            found,
            features=features,
            labels=np.concatenate([found.labels, np.tile(found.labels[found.test], times)]),
            groups=np.concatenate([found.groups, np.tile(found.groups[found.test], times)]),
            test=np.concatenate([found.test, more]),
        )
        answers = self._head().predict(worse)[0]
        right = (answers.argmax(axis=1) == worse.labels[worse.test]).reshape(times + 1, n)
        names = ["clean", *altered, "all"]
        rows = [*right.astype(np.float64), right[1:].mean(axis=0)]
        values = {f"accuracy@{name}": row for name, row in zip(names, rows, strict=True)}
        groups = found.groups[found.test]
        return Result.of_means(values, groups, "accuracy@all", head=self.config.head)

    def _head(self) -> KNN | Linear:
        return KNN(KNNConfig()) if self.config.head == "knn" else Linear(LinearConfig())

    def _altered(
        self, model: Pretrained, data: EvaluationData
    ) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yields names such as "noise 10 dB" with (n_test, D) features."""
        if not data.domain.corruptions:
            raise UsageError(
                f"The domain '{data.domain.name}' names no corruptions, so there is nothing to "
                "be robust against; leave this evaluation out."
            )
        for kind, corruption in data.domain.corruptions.items():
            for strength in corruption.strengths:
                transform = corruption.transform(strength, data.dataset.channels)
                if transform is None:
                    continue
                features, _ = data.seen_through(transform).embed(model, data.parts.test)
                yield f"{kind} {strength:g} {corruption.unit}".strip(), features
