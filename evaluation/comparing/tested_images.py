"""Which images the results of a comparison are of."""

from __future__ import annotations

import hashlib

import numpy as np

from ...data.counting import plural
from ...data.splits import Positions
from ..data import EvaluationData
from ..evaluation import Evaluation

TEST_SET, TEST_PART = "test_set", "the test part"
"""Key of the settings of a comparison, and its value in a folder that lacks it."""


def tested_images(evaluation: Evaluation, data: EvaluationData) -> Positions:
    """Returns the sorted positions of the images that an evaluation reports on, and has labels of.

    Args:
        evaluation: The evaluation that was asked for.
        data: Images in three parts.
    """
    test, tested = evaluation.labeled(data).test, evaluation.tested(data)
    known = data.dataset.index.labels[tested] >= 0
    return np.sort(tested[known | np.isin(tested, test)])


def other_test_set(evaluation: Evaluation, data: EvaluationData) -> dict[str, str]:
    """Returns a setting that tells which images are tested; {} if they are the test part.

    Evaluations that make parts of their own do not test groups that a run was pre-trained on, so
    that other runs and `--allow-overlap` change what is tested.

    Args:
        evaluation: The evaluation that was asked for.
        data: Images in three parts.
    """
    tested, index = tested_images(evaluation, data), data.dataset.index
    if np.array_equal(tested, np.sort(evaluation.labeled(data).test)):
        return {}
    groups = plural(len(np.unique(index.groups[tested])), "group")
    digest = hashlib.sha256(tested.astype("<i8").tobytes()).hexdigest()[:8]
    return {TEST_SET: f"{plural(len(tested), 'image')} of {groups} ({digest})"}
