from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import homogeneity_score

from ssl_kit import UsageError, open_data
from ssl_kit.data import domains, split
from ssl_kit.evaluation import EvaluationData
from ssl_kit.testing import checks_for
from ssl_kit_audio.target_quality import TargetQuality, agreement
from ssl_kit_audio.transcription import Transcription


def draw() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 500)
    clusters = np.where(rng.random(500) < 0.5, labels, rng.integers(0, 7, 500))
    counts = np.zeros((1, 4, 7))
    np.add.at(counts[0], (labels, clusters), 1)
    return labels, clusters, counts


def test_pnmi_is_the_homogeneity_of_scikit_learn() -> None:
    labels, clusters, counts = draw()
    assert agreement(counts)["pnmi"][0] == pytest.approx(homogeneity_score(labels, clusters))


def test_purities_are_those_of_a_loop() -> None:
    labels, clusters, counts = draw()
    by_cluster = sum(np.bincount(labels[clusters == k]).max() for k in range(7)) / 500
    by_class = sum(np.bincount(clusters[labels == c]).max() for c in range(4)) / 500
    measured = agreement(counts)
    assert measured["class_purity"][0] == pytest.approx(by_cluster)
    assert measured["cluster_purity"][0] == pytest.approx(by_class)


def test_clusters_that_are_classes_tell_everything_and_one_cluster_nothing() -> None:
    all_of_it, nothing = np.diag([3.0, 4.0, 5.0]), np.array([[3.0], [4.0], [5.0]])
    assert agreement(all_of_it[None])["pnmi"][0] == pytest.approx(1)
    assert agreement(nothing[None])["pnmi"][0] == pytest.approx(0)


@pytest.mark.parametrize("kind", [TargetQuality, Transcription])
def test_images_that_are_no_recordings_are_refused(kind: Any) -> None:
    natural = domains["natural"]
    dataset = open_data(domain="natural")
    data = EvaluationData(dataset, split(dataset.index, 0.2), natural, workers=0)
    with pytest.raises(UsageError, match=r"'natural' reads none\. Give --domain audio\."):
        kind(kind.Config()).check(data)


@pytest.mark.parametrize("check", checks_for("evaluation", "target_quality"), ids=str)
def test_it_keeps_to_the_contract(check: Any) -> None:
    check()
