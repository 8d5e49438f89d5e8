"""A support-vector machine on frozen features, its settings chosen on the validation images."""

from __future__ import annotations

from itertools import product
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import expit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from ... import Evaluation
from ...evaluation import (
    EvaluationData,
    GradesConfig,
    LabeledFeatures,
    Pretrained,
    Result,
    choose_then_refit,
)

Rows = NDArray[np.int64]


class SVMConfig(GradesConfig):
    """Options of the evaluation: the grid that Hsu, Chang and Lin advise, with a larger step."""

    costs: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...],
        Field(min_length=1, description="values to try of the penalty of errors (C)"),
    ] = (0.1, 1.0, 10.0, 100.0)
    widths: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...],
        Field(
            min_length=1,
            description="values to try of gamma of the RBF kernel, times the number of features",
        ),
    ] = (0.1, 1.0, 10.0)


class SVM(Evaluation):
    """How accurate is a support-vector machine with an RBF kernel on the features?

    Classes are weighted inversely to their frequency. Probabilities are logistic functions of the
    decision values: they rank images, but are not calibrated.
    """

    Config = SVMConfig
    uses_features = True

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Chooses C and gamma on the validation images, then learns from both parts."""
        features, options = data.features(model), self.config
        grid = [*product(options.costs, options.widths)]
        trainable = len(features.val) and len(np.unique(features.labels[features.train])) > 1
        fitted = choose_then_refit(
            (
                (pair, (features.labels[features.val], self._predict(features, pair)))
                for pair in (grid if trainable else ())
            ),
            lambda pair: self._predict(features, pair, refit=True),
            otherwise=grid[len(grid) // 2],
        )
        validation = fitted.validation[1] if fitted.validation else None
        cost, width = fitted.setting
        return features.result(fitted.model, validation, options, C=cost, gamma=width)

    def _predict(
        self, data: LabeledFeatures, pair: tuple[float, float], refit: bool = False
    ) -> NDArray[np.float64]:
        """Returns probabilities (n, K) of the validation or, after a refit, of the test images."""
        known, rows = (data.known, data.test) if refit else (data.train, data.val)
        cost, width = pair
        gamma = width / data.features.shape[1]
        machine = SVC(C=cost, gamma=gamma, class_weight="balanced", random_state=0)
        fitted = make_pipeline(StandardScaler(), machine)
        fitted.fit(data.features[known], data.labels[known])
        values = fitted.decision_function(data.features[rows])
        if values.ndim == 1:
            values = np.stack([-values, values], axis=1)
        likely = expit(values)
        probabilities = np.zeros((len(rows), len(data.classes)))
        probabilities[:, fitted.classes_] = likely / likely.sum(axis=1, keepdims=True)
        return probabilities
