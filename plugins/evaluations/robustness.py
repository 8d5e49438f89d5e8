"""The accuracy on test images with corruptions that are typical of the domain.

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
from ...evaluation import EvaluationData, Pretrained, Result, counted
from .knn import KNN, KNNConfig
from .linear import Linear, LinearConfig


class RobustnessConfig(Config):
    """Options of the evaluation."""

    head: Annotated[
        Literal["knn", "linear"], Field(description="classifier on the frozen features")
    ] = "knn"


class Robustness(Evaluation):
    """How accurate is a classifier under each corruption of the domain, at each strength?

    The classifier learns from uncorrupted images; only test images are corrupted. The table of
    classes is of uncorrupted ones.
    """

    Config = RobustnessConfig

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Trains one classifier, and tests it at every strength of every corruption."""
        clean = data.features(model)
        corrupted = dict(self._corrupted(model, data))
        times, n = len(corrupted), len(clean.test)
        features = np.concatenate([clean.features, *corrupted.values()])
        added = np.arange(len(clean.features), len(features))
        joined = replace(
            clean,
            features=features,
            labels=np.concatenate([clean.labels, np.tile(clean.labels[clean.test], times)]),
            groups=np.concatenate([clean.groups, np.tile(clean.groups[clean.test], times)]),
            test=np.concatenate([clean.test, added]),
        )
        predictions = self._head().predict(joined)[0].argmax(axis=1).reshape(times + 1, n)
        results = [clean.result(of_strength) for of_strength in predictions]
        first, *others = results
        kept = {
            f"{first.main}@{name}": result.jackknife[first.main]
            for name, result in zip(["clean", *corrupted], results, strict=True)
        }
        every = np.mean([result.jackknife[first.main].values for result in others], axis=0)
        kept[f"{first.main}@all"] = replace(first.jackknife[first.main], values=every)
        return Result(
            {name: each.estimate() for name, each in kept.items()},
            kept,
            f"{first.main}@all",
            first.rows,
            np.mean([result.by_group for result in others], axis=0),
            {"head": self.config.head, "constant": first.constant},
            n,
        )

    def _head(self) -> KNN | Linear:
        return KNN(KNNConfig()) if self.config.head == "knn" else Linear(LinearConfig())

    def _corrupted(
        self, model: Pretrained, data: EvaluationData
    ) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yields names such as "noise 10 dB" with (n_test, D) features."""
        if not data.domain.corruptions:
            raise UsageError(
                f"The domain '{data.domain.name}' has no corruptions to test robustness with. "
                "Leave this evaluation out."
            )
        for kind, corruption in counted(data.domain.corruptions.items(), "corruption"):
            for strength in corruption.strengths:
                transform = corruption.transform(strength, data.dataset.channels)
                if transform is None:
                    continue
                features, _ = data.seen_through(transform).embed(model, data.parts.test)
                yield f"{kind} {strength:g} {corruption.unit}".strip(), features
