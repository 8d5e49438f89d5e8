from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from ssl_kit import UsageError
from ssl_kit.evaluation import LabeledFeatures
from ssl_kit.plugins.evaluations.episodes import (
    Episodes,
    EpisodesConfig,
    logistic,
    nearest_prototype,
)


def problem(classes=6, skill=1.5, n=240, width=20):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % classes
    features = rng.normal(size=(n, width)) + skill * np.eye(width)[labels]
    rows = np.arange(n)
    return LabeledFeatures(
        features.astype(np.float32), labels.astype(np.int32), rows.astype(np.int64),
        tuple("abcdefgh"[:classes]), rows[:100], rows[100:140], rows[140:],
    )  # fmt: skip


def evaluate(parts, **options):
    data = SimpleNamespace(features=lambda model: parts)
    return Episodes(EpisodesConfig(**options)).evaluate(None, data)


@pytest.fixture
def episode():
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(5), 4)
    support = rng.normal(size=(20, 64)) + 1.5 * np.eye(64)[labels]
    queries = rng.normal(size=(75, 64)) + 1.5 * np.eye(64)[np.repeat(np.arange(5), 15)]
    return support, labels, queries


def test_prototypes_agree_with_scikit_learn(episode):
    support, labels, queries = episode
    expected = NearestCentroid().fit(support, labels).predict(queries)
    assert (nearest_prototype(support, labels, queries) == expected).all()


def test_logistic_head_in_the_span_agrees_with_the_whole(episode):
    support, labels, queries = episode
    expected = LogisticRegression(max_iter=1000).fit(support, labels).predict(queries)
    assert (logistic(support, labels, queries) == expected).mean() > 0.97


def test_more_episodes_of_the_same_images_do_not_narrow_the_interval():
    few, many = (evaluate(problem(), episodes=n).metrics["prototypes"] for n in (50, 400))
    assert many.high - many.low > 0.6 * (few.high - few.low)


def test_features_without_information_do_as_chance():
    found = evaluate(problem(skill=0), episodes=100)
    assert found.metrics["prototypes"].value == pytest.approx(0.2, abs=0.05)
    assert found.metrics["logistic"].value == pytest.approx(0.2, abs=0.05)


def test_more_shots_do_better():
    one, ten = (
        evaluate(problem(skill=2), episodes=60, shots=k).metrics["prototypes"].value
        for k in (1, 10)
    )
    assert ten > one + 0.1


def test_fewer_classes_than_ways_are_all_asked_for():
    assert evaluate(problem(classes=3), episodes=5).details["ways"] == 3


def test_classes_with_too_few_images_are_a_plain_error():
    with pytest.raises(UsageError, match="Episodes of 40 shots need two classes"):
        evaluate(problem(), shots=40)


def test_labels_of_test_images_are_never_in_the_support(monkeypatch):
    seen = []

    def spy(support, labels, queries):
        seen.append((support, queries))
        return np.zeros(len(queries), int)

    monkeypatch.setattr("ssl_kit.plugins.evaluations.episodes.nearest_prototype", spy)
    parts = problem()
    parts.features[parts.test] += 100
    evaluate(parts, episodes=5)
    for support, queries in seen:  # unit vectors around the training mean
        assert queries.sum(axis=1).min() > 4
        assert support.sum(axis=1).max() < 4
