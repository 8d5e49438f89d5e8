from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from ssl_kit.evaluation import LabeledFeatures
from ssl_kit.evaluation.metrics import operating_point
from ssl_kit.plugins.evaluations import knn
from ssl_kit.plugins.evaluations.knn import KNN, KNNConfig, knn_predict


@pytest.fixture
def problem():
    """Overlapping classes, so that many neighbors disagree."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=200)
    features = rng.normal(size=(200, 6)) + 0.7 * np.eye(6)[labels]
    return features.astype(np.float32), labels


def found(features, labels, train, val, test):
    rows = np.arange(len(labels))
    groups = rows.astype(np.int64)
    return LabeledFeatures(
        features, labels.astype(np.int32), groups, ("a", "b", "c"), rows[train], rows[val],
        rows[test],
    )  # fmt: skip


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (5, 0.07), (20, 0.5)])
def test_shares_of_the_votes_agree_with_scikit_learn(problem, k, temperature):
    features, labels = problem

    def weigh(distances):
        return np.exp((1 - distances) / temperature)

    reference = KNeighborsClassifier(k, metric="cosine", algorithm="brute", weights=weigh)
    expected = reference.fit(features[:150], labels[:150]).predict_proba(features[150:])
    shares = knn_predict(features[:150], labels[:150], features[150:], 3, k, temperature)
    np.testing.assert_allclose(shares, expected, atol=1e-5)


def test_a_bank_smaller_than_k_is_used_whole(problem):
    features, labels = problem
    few = knn_predict(features[:9], labels[:9], features[150:], 3, 9, 0.07)
    many = knn_predict(features[:9], labels[:9], features[150:], 3, 1000, 0.07)
    assert (few == many).all()


def test_chunks_change_nothing(problem, monkeypatch):
    features, labels = problem
    whole = knn_predict(features[:150], labels[:150], features[150:], 3, 5, 0.07)
    monkeypatch.setattr(knn, "_CHUNK", 7)
    parts = knn_predict(features[:150], labels[:150], features[150:], 3, 5, 0.07)
    assert (parts == whole).all()


def test_a_query_in_the_bank_has_its_label_at_k_1(problem):
    features, labels = problem
    shares = knn_predict(features, labels, features, 3, 1, 0.07)
    assert (shares == np.eye(3)[labels]).all()


def test_near_neighbors_outvote_a_far_majority():
    bank = np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)
    query = np.array([[1, 0.1]], dtype=np.float32)
    assert knn_predict(bank, np.array([0, 1, 1]), query, 2, 3, 0.07).argmax() == 0
    assert knn_predict(bank, np.array([0, 1, 1]), query, 2, 3, 100.0).argmax() == 1


def test_length_of_features_does_not_matter(problem):
    features, labels = problem
    scale = np.linspace(0.1, 9, 50, dtype=np.float32)[:, None]
    once = knn_predict(features[:150], labels[:150], features[150:], 3, 5, 0.07)
    scaled = knn_predict(features[:150], labels[:150], features[150:] * scale, 3, 5, 0.07)
    np.testing.assert_allclose(once, scaled, atol=1e-4)


def test_a_small_temperature_does_not_overflow(problem):
    features, labels = problem
    shares = knn_predict(features, labels, features, 3, 20, 1e-4)
    assert (shares.argmax(axis=1) == labels).all()


def test_training_and_validation_images_vote_and_test_images_are_counted(problem):
    features, labels = problem
    parts = found(features, labels, slice(100), slice(100, 150), slice(150, 200))
    result = KNN(KNNConfig(k=5)).evaluate(None, SimpleNamespace(features=lambda model: parts))
    expected = knn_predict(features[:150], labels[:150], features[150:], 3, 5, 0.07).argmax(axis=1)
    assert result.metrics["accuracy"].value == pytest.approx((expected == labels[150:]).mean())
    assert result.by_group.tolist() == (expected == labels[150:]).tolist()
    assert result.details["k"] == 5


def test_labels_of_test_images_are_not_used(problem):
    features, labels = problem
    wrong = np.where(np.arange(200) < 150, labels, (labels + 1) % 3)
    results = [
        KNN(KNNConfig()).evaluate(
            None, SimpleNamespace(features=lambda model, y=y: found(
                features, y, slice(100), slice(100, 150), slice(150, 200)
            ))
        )
        for y in (labels, wrong)
    ]  # fmt: skip
    predicted = [np.sum(result.details["confusion"], axis=0).tolist() for result in results]
    assert predicted[0] == predicted[1]


def test_validation_images_are_scored_by_training_images_alone(problem):
    features, labels = problem
    pair = found(features, labels % 2, slice(100), slice(100, 150), slice(150, 200))
    pair = replace(pair, classes=("a", "b"))
    result = KNN(KNNConfig(k=5)).evaluate(None, SimpleNamespace(features=lambda model: pair))
    shares = knn_predict(features[:100], labels[:100] % 2, features[100:150], 2, 5, 0.07)[:, 1]
    assert result.details["operating_point"]["threshold"] == pytest.approx(
        operating_point(labels[100:150] % 2 == 1, shares.astype(float))
    )


def test_a_temperature_that_changes_nothing_is_named():
    warning = "temperature changes nothing, because with k=1 a single neighbor votes. Leave it out."
    assert [*KNNConfig(k=1, temperature=0.1).idle()] == [warning]
    assert not [*KNNConfig(k=2, temperature=0.1).idle(), *KNNConfig(k=1).idle()]
