"""Sentences on the classes of the test images: main metric, positive class, constant predictions.

It imports nothing heavy, as `words`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LEARNED_SINCE = (
    "The threshold is that of a network that had not learned from the validation images; the "
    "classifier that was written has, so that its probabilities may lie elsewhere. Check the "
    "threshold on new images."
)


def main_metric_reason(main: str, rows: Sequence[Mapping[str, Any]], unit: str = "image") -> str:
    """Says why the balanced accuracy is the main metric, as a sentence; "" if another one is.

    Args:
        main: Name of the main metric.
        rows: Name and number of test images, or of what else is predicted, of each class.
        unit: What is predicted: "image", "bag".
    """
    if main.partition("@")[0] != "balanced_accuracy" or not rows:
        return ""
    largest = max(rows, key=lambda row: row["images"])
    share = f"{100 * largest['images'] / sum(row['images'] for row in rows):.0f} %"
    return (
        "The main metric is the balanced accuracy (the mean recall of the classes), because the "
        f"classes are very unequal: {share} of the test {unit}s are '{largest['class']}', so that "
        f"predicting it for every {unit} has an accuracy of {share}."
    )


def constant_predictions(constant: Mapping[str, str], unit: str = "image") -> list[str]:
    """Says which encoders predict one class for every test image, a sentence each.

    Args:
        constant: That class, by the name of the encoder; "" if there is none.
        unit: What is predicted: "image", "bag".
    """
    return [
        f"'{name}' predicts '{predicted}' for every test {unit}."
        for name, predicted in constant.items()
        if predicted
    ]


def positive_class(name: str, sensitivity: float | None = None, unit: str = "image") -> str:
    """Says what the metrics of two classes refer to, in sentences; "" if there are more classes.

    Args:
        name: The positive class.
        sensitivity: The sensitivity on the validation images that was asked for; None if none was.
        unit: What is predicted: "image", "bag".
    """
    if not name:
        return ""
    wanted = (
        "" if sensitivity is None else f" for a sensitivity of at least {100 * sensitivity:g} %"
    )
    otherwise = " (0.5 without them)" if sensitivity is None else ""
    return (
        f"The positive class of AUROC, AUPRC, sensitivity and specificity is '{name}'. Sensitivity "
        "and specificity are at a threshold of its probability that was chosen on the validation "
        f"{unit}s{wanted}{otherwise}; accuracies, F1 and kappa are of the most probable class."
    )


def at_threshold(point: Mapping[str, Any] | None) -> str:
    """Writes the threshold of sensitivity and specificity, for behind their values: "at 0.31"."""
    return f"at {point['threshold']:.2g}" if point else ""
