"""Linear probe: logistic regression on frozen features, its C chosen on validation groups."""

from __future__ import annotations

import warnings
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ssl_kit import (
    Config,
    Evaluation,
    EvaluationData,
    LabelledFeatures,
    Pretrained,
    Result,
    confusion_by_group,
)


class LinearConfig(Config):
    """Options of the linear probe."""

    strengths: Annotated[
        tuple[float, ...], Field(min_length=1, description="values of C (1 / L2 penalty) to try")
    ] = (0.001, 0.01, 0.1, 1.0, 10.0)
    iterations: Annotated[int, Field(ge=1, description="at most, of L-BFGS")] = 200


class Linear(Evaluation):
    """How well does one linear layer on the features tell the classes apart?"""

    Config = LinearConfig

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Chooses C on the validation images, then trains on both parts and tests once."""
        found = data.features(model)
        strength = self._choose(found)
        probe = self._fit(found, np.concatenate([found.train, found.val]), strength)
        test = found.test
        counts = confusion_by_group(
            found.labels[test],
            probe.predict(found.features[test]),
            found.groups[test],
            len(found.classes),
        )
        return Result.of_classification(found, counts, C=strength)

    def _choose(self, found: LabelledFeatures) -> float:
        strengths = self.config.strengths
        if not len(found.val) or len(strengths) == 1:
            return float(strengths[len(strengths) // 2])
        x, y = found.features[found.val], found.labels[found.val]
        scores = [self._fit(found, found.train, c).score(x, y) for c in strengths]
        return float(strengths[int(np.argmax(scores))])

    def _fit(self, found: LabelledFeatures, rows: NDArray[np.int64], strength: float) -> Pipeline:
        probe = make_pipeline(
            StandardScaler(), LogisticRegression(C=strength, max_iter=self.config.iterations)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the limit is a setting
            return probe.fit(found.features[rows], found.labels[rows])
