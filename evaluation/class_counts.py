"""What the numbers of images of the classes decide: the main metric and the positive class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNEQUAL = 1.5
"""Times its equal share of the images, above which the largest class makes classes unequal."""


def main_metric(labels: NDArray[Any]) -> str:
    """Returns the metric that verdicts go by: "balanced_accuracy" or "accuracy".

    It is the balanced accuracy if the largest of the K classes that occur has more than 1.5 / K of
    the images: predicting it for every image then has an accuracy well above chance. Only labels
    decide, so that all encoders are judged by the same metric.

    Args:
        labels: (n,) class numbers of the test images.
    """
    _, counts = np.unique(labels, return_counts=True)
    unequal = bool(len(counts)) and counts.max() * len(counts) > UNEQUAL * counts.sum()
    return "balanced_accuracy" if unequal else "accuracy"


def rarest(labels: NDArray[Any], classes: Sequence[str]) -> str:
    """Returns the class with the fewest images, the last of those with equally few.

    Args:
        labels: (n,) class numbers; -1 for images without a label.
        classes: Class names.
    """
    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    return classes[len(classes) - 1 - int(np.argmin(counts[::-1]))]
