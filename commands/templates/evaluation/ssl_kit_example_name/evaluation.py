"""An image belongs to the class whose mean feature is nearest.

Distance-Based Image Classification: Generalizing to New Classes at Near-Zero Cost,
Mensink, Verbeek, Perronnin, Csurka, 2013. https://doi.org/10.1109/TPAMI.2013.83
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial.distance import cdist

from ssl_kit import Config, Evaluation
from ssl_kit.evaluation import EvaluationData, Pretrained, Result


def predict(
    features: NDArray[np.float32], labels: NDArray[Any], queries: NDArray[np.float32], metric: str
) -> NDArray[Any]:
    """Predicts the class of each query.

    Args:
        features: (n, D) of the images to learn from.
        labels: (n,) their classes.
        queries: (m, D).
        metric: Name of a distance of SciPy.

    Returns:
        (m,) classes.
    """
    known = np.unique(labels)
    means = np.stack([features[labels == k].mean(axis=0) for k in known])
    nearest: NDArray[Any] = known[cdist(queries, means, metric).argmin(axis=1)]
    return nearest


class ExampleNameConfig(Config):
    """Options of the evaluation."""

    metric: Annotated[
        Literal["euclidean", "cityblock"], Field(description="distance to the means")
    ] = "euclidean"


class ExampleName(Evaluation):
    """No training but one mean a class: how far apart are the classes?"""

    Config = ExampleNameConfig

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Learns from training and validation images; the test images are looked at once."""
        found = data.features(model)
        known = found.known
        predictions = predict(
            found.features[known],
            found.labels[known],
            found.features[found.test],
            self.config.metric,
        )
        return found.result(predictions, metric=self.config.metric)
