from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from sklearn.neighbors import NearestNeighbors

from ssl_kit import UsageError
from ssl_kit.evaluation import LabeledFeatures
from ssl_kit.plugins.evaluations import retrieval
from ssl_kit.plugins.evaluations.retrieval import Retrieval, retrieve


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=120)
    features = (rng.normal(size=(120, 8)) + np.eye(8)[labels]).astype(np.float32)
    rows = np.arange(120)
    return LabeledFeatures(
        features, labels.astype(np.int32), rows // 2, tuple("abcd"), rows[:60], rows[60:80],
        rows[80:],
    )  # fmt: skip


def evaluate(parts):
    return Retrieval(Retrieval.Config()).evaluate(None, SimpleNamespace(features=lambda m: parts))


def test_average_precision_agrees_with_scikit_learn(parts):
    unit = parts.features / np.linalg.norm(parts.features, axis=1, keepdims=True)
    expected = [
        average_precision_score(parts.labels[parts.known] == parts.labels[q],
                                unit[parts.known] @ unit[q])
        for q in parts.test
    ]  # fmt: skip
    assert evaluate(parts).metrics["map"].value == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("k", retrieval.RANKS)
def test_recall_agrees_with_scikit_learn(parts, k):
    search = NearestNeighbors(n_neighbors=k, metric="cosine").fit(parts.features[parts.known])
    near = search.kneighbors(parts.features[parts.test], return_distance=False)
    same = parts.labels[parts.known][near] == parts.labels[parts.test][:, None]
    assert evaluate(parts).metrics[f"recall@{k}"].value == pytest.approx(same.any(axis=1).mean())


def test_the_same_group_does_not_count():
    similarity = np.array([[0.9, 0.5, 0.1]])
    relevant = np.array([[True, False, True]])
    found = retrieve(similarity, relevant, np.array([[False, True, True]]))
    assert found["recall@1"].tolist() == [0]
    assert found["map"].tolist() == [0.5]


def test_images_of_a_test_group_are_taken_out_of_the_gallery(parts):
    twins = replace(parts, groups=np.arange(120) % 40)  # rows 0, 40, 80 are one group
    features = parts.features.copy()
    features[80:] = features[:40]
    labels = np.concatenate([parts.labels[:80], parts.labels[:40]])
    plain = replace(parts, features=features, labels=labels)
    assert evaluate(plain).metrics["recall@1"].value == 1
    hidden = replace(twins, features=features, labels=labels)
    assert evaluate(hidden).metrics["recall@1"].value < 1


def test_a_query_without_a_relevant_image_is_left_out():
    found = retrieve(np.ones((2, 3)), np.array([[0, 0, 0], [0, 1, 0]], bool), np.ones((2, 3), bool))
    assert np.isnan(found["map"]).tolist() == [True, False]


def test_no_relevant_image_at_all_is_a_plain_error(parts):
    labels = np.where(np.arange(120) < 80, 0, 1).astype(np.int32)
    with pytest.raises(UsageError, match="No test image has the class"):
        evaluate(replace(parts, labels=labels))


def test_chunks_change_nothing(parts, monkeypatch):
    whole = evaluate(parts)
    monkeypatch.setattr(retrieval, "_CHUNK", 7)
    assert evaluate(parts).metrics == whole.metrics


def test_intervals_are_over_groups(parts):
    assert evaluate(parts).by_group.shape == (20,)
