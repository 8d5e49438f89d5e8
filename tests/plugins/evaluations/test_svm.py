from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from ssl_kit.evaluation import LabeledFeatures
from ssl_kit.plugins.evaluations.svm import SVM, SVMConfig


def rings(classes=2, val=True):
    """Points on rings around the origin, which no hyperplane separates."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % classes
    angle, radius = rng.uniform(0, 6.3, 240), 1 + labels + rng.normal(0, 0.2, 240)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
    rows = np.arange(240)
    parts = (rows[:80], rows[80:140] if val else rows[:0], rows[140:])
    return LabeledFeatures(x, labels.astype(np.int32), rows, tuple("abc"[:classes]), *parts)


def evaluate(parts, **options):
    data = SimpleNamespace(features=lambda model: parts)
    return SVM(SVMConfig(**options)).evaluate(None, data)


@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_a_plain_machine_on_both_parts(classes):
    parts = rings(classes)
    result = evaluate(parts, costs=(1.0,), widths=(2.0,))
    plain = make_pipeline(StandardScaler(), SVC(C=1.0, gamma=1.0, class_weight="balanced"))
    plain.fit(parts.features[:140], parts.labels[:140])
    expected = plain.score(parts.features[140:], parts.labels[140:])
    assert result.metrics["accuracy"].value == pytest.approx(expected)
    assert expected > 0.8


def test_scores_rank_images_as_decision_values_do():
    parts = rings()
    plain = make_pipeline(StandardScaler(), SVC(gamma=0.5, class_weight="balanced"))
    plain.fit(parts.features[:140], parts.labels[:140])
    values = plain.decision_function(parts.features[140:])
    result = evaluate(parts, costs=(1.0,), widths=(1.0,))
    expected = roc_auc_score(parts.labels[140:], values)
    assert result.metrics["auroc"].value == pytest.approx(expected)


def test_settings_are_chosen_on_the_validation_images():
    assert evaluate(rings(), costs=(1e-6, 1.0), widths=(1e-6, 1.0)).details["C"] == 1.0


def test_without_a_validation_part_the_middle_of_the_grid_is_taken():
    details = evaluate(rings(val=False), costs=(1.0,), widths=(0.1, 1.0, 10.0)).details
    assert (details["C"], details["gamma"]) == (1.0, 1.0)
