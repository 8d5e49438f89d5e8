"""The rule by which a run chooses the encoder that it hands back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .freedom import class_freedom
from .intervals import Estimate, Jackknife, Weights, codes_of, jackknife

MARGIN = 1.5


@dataclass(frozen=True)
class Choice:
    """The encoder that was chosen.

    Attributes:
        chosen: Its number; 0 is the start.
        values: Balanced accuracy of each encoder.
        gains: Difference of each to the start; the interval is paired.
        gain: Difference to the start of the encoder that this rule chooses, on images that it did
            not choose by. So it is not flattered by the choice, which the largest of `gains` is.
    """

    chosen: int
    values: list[Estimate]
    gains: list[Estimate]
    gain: Estimate


def choose(
    correct: Sequence[NDArray[Any]],
    labels: NDArray[Any],
    groups: NDArray[np.int64],
    folds: NDArray[np.int64],
) -> Choice:
    """Chooses the encoder with the highest balanced accuracy if its gain exceeds the noise.

    The start is left only for a gain of more than `MARGIN` standard errors over groups, and if the
    rule also gains on images that it does not choose by: the best of several encoders looks better
    than it is, and what is not shown to be better may be worse.

    Args:
        correct: For each encoder, the start first, how often each image is classified correctly
            (n,), from 0 to 1.
        labels: (n,) classes.
        groups: (n,) group numbers.
        folds: (n,) numbers of the parts that share no group; each is left out of a choice in turn,
            by which the gain is then measured.
    """
    scores = [balanced(each, labels, groups) for each in correct]
    elsewhere = np.empty_like(correct[0])
    for fold in np.unique(folds):
        used, left_out = folds != fold, folds == fold
        parts = [balanced(each[used], labels[used], groups[used]) for each in correct]
        elsewhere[left_out] = correct[_best(parts)][left_out]
    gain = balanced(elsewhere, labels, groups) - scores[0]
    return Choice(
        _best(scores) if gain.values[0, 0] > 0 else 0,
        [score.estimate() for score in scores],
        [(score - scores[0]).estimate() for score in scores],
        gain.estimate(),
    )


def _best(scores: Sequence[Jackknife]) -> int:
    best = int(np.argmax([score.values[0, 0] for score in scores]))
    gain = scores[best] - scores[0]
    return best if gain.values[0, 0] > MARGIN * gain.standard_error else 0


def balanced(correct: NDArray[Any], labels: NDArray[Any], groups: NDArray[np.int64]) -> Jackknife:
    """Returns the balanced accuracy, the mean of the classes' recalls, without each group in turn.

    Args:
        correct: (n,) how often each image is classified correctly, from 0 to 1.
        labels: (n,) classes.
        groups: (n,) group numbers.
    """
    (classes, k), (codes, g) = codes_of(labels), codes_of(groups)
    counts, hits = np.zeros((k, g)), np.zeros((k, g))
    np.add.at(counts, (classes, codes), 1)
    np.add.at(hits, (classes, codes), correct)

    def statistic(weights: Weights) -> dict[str, NDArray[np.float64]]:
        present = counts @ weights
        recalls = hits @ weights / np.where(present > 0, present, np.nan)
        return {"balanced_accuracy": np.nanmean(recalls, axis=0)}

    most = {"balanced_accuracy": class_freedom(counts)}
    return jackknife(statistic, counts.sum(axis=0), k, most_freedom=most)["balanced_accuracy"]
