"""Linear probe: logistic regression on frozen features, its C chosen on validation groups."""

from __future__ import annotations

import warnings
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ... import Evaluation
from ...evaluation import (
    EvaluationData,
    GradesConfig,
    LabeledFeatures,
    Pretrained,
    Result,
    choose_then_refit,
)

_FEW = 4096


class LinearConfig(GradesConfig):
    """Options of the linear probe."""

    strengths: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...],
        Field(min_length=1, description="values to try of the inverse L2 penalty (C)"),
    ] = (0.001, 0.01, 0.1, 1.0, 10.0)
    iterations: Annotated[int, Field(ge=1, description="largest number of L-BFGS iterations")] = 200
    weights: Annotated[
        Literal["equal", "balanced"],
        Field(
            description="weights of the images: equal, or balanced (inverse to the frequency of "
            "the class)"
        ),
    ] = "equal"


class Linear(Evaluation):
    """How accurate is a logistic regression on the features?"""

    Config = LinearConfig
    uses_features = True

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Chooses C on the validation images, then trains on both parts and tests once."""
        features = data.features(model)
        probabilities, validation, strength = self.predict(features)
        return features.result(probabilities, validation, self.config, C=strength)

    def predict(
        self, data: LabeledFeatures
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, float]:
        """Returns (n_test, K) and (n_val, K) probabilities, and the C that was chosen.

        The middle C is taken where the validation part is empty or the training part has a single
        class.
        """
        strengths = [float(c) for c in self.config.strengths]
        trainable = len(data.val) and len(np.unique(data.labels[data.train])) > 1
        candidates = (
            (c, (data.labels[data.val], self._predict_from(data, data.train, data.val, c)))
            for c in strengths
        )
        fitted = choose_then_refit(
            candidates if trainable else (),
            lambda c: self._predict_from(data, data.known, data.test, c),
            otherwise=strengths[len(strengths) // 2],
        )
        validation = fitted.validation[1] if fitted.validation else None
        return fitted.model, validation, fitted.setting

    def _predict_from(
        self,
        data: LabeledFeatures,
        known: NDArray[np.int64],
        rows: NDArray[np.int64],
        strength: float,
    ) -> NDArray[np.float64]:
        """Fits a probe on some rows, and returns (n, K) probabilities of others.

        They are 0 for a class that was not learned.
        """
        weights = None if self.config.weights == "equal" else "balanced"
        head = LogisticRegression(C=strength, max_iter=self.config.iterations, class_weight=weights)
        probe = make_pipeline(StandardScaler(), head)
        threads = 1 if len(known) < _FEW else None  # on few rows they cost more than they give
        with warnings.catch_warnings(), threadpool_limits(threads):
            warnings.simplefilter("ignore", ConvergenceWarning)  # the limit is a setting
            probe.fit(data.features[known], data.labels[known])
        probabilities = np.zeros((len(rows), len(data.classes)))
        probabilities[:, probe.classes_] = probe.predict_proba(data.features[rows])
        return probabilities
