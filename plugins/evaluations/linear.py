"""Linear probe: logistic regression on frozen features, its C chosen on validation groups."""

from __future__ import annotations

import warnings
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ... import Config, Evaluation
from ...evaluation import EvaluationData, LabeledFeatures, Pretrained, Result

_FEW = 4096


class LinearConfig(Config):
    """Options of the linear probe."""

    strengths: Annotated[
        tuple[float, ...], Field(min_length=1, description="values of C (1 / L2 penalty) to try")
    ] = (0.001, 0.01, 0.1, 1.0, 10.0)
    iterations: Annotated[int, Field(ge=1, description="at most, of L-BFGS")] = 200
    weights: Annotated[
        Literal["equal", "balanced"],
        Field(description="of the images: equal, or so that rare classes count like common ones"),
    ] = "equal"


class Linear(Evaluation):
    """How well does one linear layer on the features tell the classes apart?"""

    Config = LinearConfig

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Chooses C on the validation images, then trains on both parts and tests once."""
        found = data.features(model)
        answers, validation, strength = self.answer(found)
        return found.result(answers, validation, C=strength)

    def answer(
        self, found: LabeledFeatures
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, float]:
        """Returns (n_test, K) and (n_val, K) probabilities, and the C that was chosen."""
        strength, validation = self._choose(found)
        probe = self._fit(found, found.known, strength)
        return _probabilities(probe, found, found.test), validation, strength

    def _choose(self, found: LabeledFeatures) -> tuple[float, NDArray[np.float64] | None]:
        """Returns C and its probabilities of the validation images, if there are any.

        The likelihood chooses, not the accuracy: on few images many values of C have the same.
        """
        strengths = self.config.strengths
        if not len(found.val) or len(np.unique(found.labels[found.train])) < 2:
            return float(strengths[len(strengths) // 2]), None
        truth = found.labels[found.val]
        said = [
            _probabilities(self._fit(found, found.train, c), found, found.val) for c in strengths
        ]
        rows = np.arange(len(truth))
        likelihoods = [np.log(p[rows, truth].clip(1e-7)).mean() for p in said]
        best = int(np.argmax(likelihoods))
        return float(strengths[best]), said[best]

    def _fit(self, found: LabeledFeatures, rows: NDArray[np.int64], strength: float) -> Pipeline:
        weights = None if self.config.weights == "equal" else "balanced"
        head = LogisticRegression(C=strength, max_iter=self.config.iterations, class_weight=weights)
        probe = make_pipeline(StandardScaler(), head)
        threads = 1 if len(rows) < _FEW else None  # on few rows they cost more than they give
        with warnings.catch_warnings(), threadpool_limits(threads):
            warnings.simplefilter("ignore", ConvergenceWarning)  # the limit is a setting
            return probe.fit(found.features[rows], found.labels[rows])


def _probabilities(
    probe: Pipeline, found: LabeledFeatures, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Returns (n, K) probabilities of some rows; 0 for a class that was not learned."""
    out = np.zeros((len(rows), len(found.classes)))
    out[:, probe.classes_] = probe.predict_proba(found.features[rows])
    return out
