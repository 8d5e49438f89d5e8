import math

import numpy as np
import pytest

from ssl_kit.testing import parametrize_with_checks
from ssl_kit_example_name.evaluation import predict


@parametrize_with_checks("evaluation", "example_name")
def test_keeps_to_the_contract(check):
    check()


@pytest.fixture
def problem():
    """Two features of three classes that overlap."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=90)
    return (rng.normal(size=(90, 2)) + np.eye(3, 2)[labels]).astype(np.float32), labels


def test_predictions_agree_with_a_slow_restatement(problem):
    features, labels = problem
    means = [features[:60][labels[:60] == k].mean(axis=0).tolist() for k in range(3)]
    expected = [min(range(3), key=lambda k: math.dist(means[k], q)) for q in features[60:].tolist()]
    assert predict(features[:60], labels[:60], features[60:], "euclidean").tolist() == expected


def test_a_class_that_was_not_learned_is_never_predicted(problem):
    features, labels = problem
    known = labels != 1
    assert 1 not in predict(features[known], labels[known], features, "euclidean")
