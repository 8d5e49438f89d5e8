from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ssl_kit import UsageError, validate
from ssl_kit.evaluation import LabeledFeatures
from ssl_kit.plugins.evaluations.linear import Linear, LinearConfig


def make_problem(seed=0):
    """Few images, many noisy dimensions of very different scale: the penalty matters."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=240)
    features = rng.normal(size=(240, 40)) + 0.35 * (labels[:, None] * 2 - 1) * (np.arange(40) < 8)
    return (features * 10.0 ** np.linspace(-2, 2, 40)).astype(np.float32), labels


def split(features, labels, val=True):
    rows = np.arange(240)
    parts = (rows[:60], rows[60:140] if val else rows[:0], rows[140:])
    groups = rows.astype(np.int64)
    return LabeledFeatures(features, labels.astype(np.int32), groups, ("a", "b"), *parts)


def evaluate(parts, **options):
    data = SimpleNamespace(features=lambda model: parts)
    return Linear(LinearConfig(**options)).evaluate(None, data)


def fit(parts, rows, strength):
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))
    return probe.fit(parts.features[rows], parts.labels[rows])


def test_strengths_are_above_zero():
    with pytest.raises(UsageError, match=r"'strengths.0': Input should be greater than 0, not -1"):
        validate(LinearConfig, {"strengths": [-1]})


def test_agrees_with_a_plain_pipeline():
    parts = split(*make_problem())
    result = evaluate(parts, strengths=(0.1,))
    probe = fit(parts, np.concatenate([parts.train, parts.val]), 0.1)
    expected = probe.score(parts.features[parts.test], parts.labels[parts.test])
    assert result.metrics["accuracy"].value == pytest.approx(expected)
    assert result.details["C"] == 0.1


def test_strength_is_the_likeliest_on_the_validation_images():
    parts, strengths = split(*make_problem()), (1e-4, 1e-2, 1.0, 100.0)
    x, y = parts.features[parts.val], parts.labels[parts.val]
    losses = [log_loss(y, fit(parts, parts.train, c).predict_proba(x)) for c in strengths]
    assert evaluate(parts, strengths=strengths).details["C"] == strengths[np.argmin(losses)]


def test_strength_does_not_depend_on_the_test_images():
    features, labels = make_problem()
    chosen = set()
    for seed in range(4):
        changed = labels.copy()
        changed[140:] = np.random.default_rng(seed).permutation(labels[140:])
        chosen.add(evaluate(split(features, changed)).details["C"])
    assert len(chosen) == 1


def test_the_validation_images_are_learned_from_in_the_end():
    parts = split(*make_problem())
    result = evaluate(parts, strengths=(0.01,))
    without = fit(parts, parts.train, 0.01).predict(parts.features[parts.test])
    right = without == parts.labels[parts.test]
    assert (result.by_group != right).any()


def test_without_validation_images_the_middle_strength_is_used():
    assert evaluate(split(*make_problem(), val=False)).details["C"] == 0.1


def test_scale_of_a_dimension_does_not_matter():
    features, labels = make_problem()
    plain = evaluate(split(features, labels), strengths=(0.1,))
    scaled = evaluate(split(features * 1000, labels), strengths=(0.1,))
    assert plain.details["confusion"] == scaled.details["confusion"]


def test_stopping_early_is_no_warning():
    assert 0 <= evaluate(split(*make_problem()), iterations=1).metrics["accuracy"].value <= 1


def test_a_class_missing_from_training_is_only_ever_wrong():
    features, labels = make_problem()
    parts = split(features, labels)
    more = np.where(np.arange(240) >= 230, 2, labels).astype(np.int32)
    parts = LabeledFeatures(
        features, more, parts.groups, ("a", "b", "c"), parts.train, parts.val, parts.test
    )
    assert evaluate(parts).rows[2]["recall"] == 0


def test_balanced_weights_help_a_rare_class():
    features, labels = make_problem()
    keep = (labels == 0) | (np.arange(240) % 6 == 0) | (np.arange(240) >= 140)
    rows = np.flatnonzero(keep)
    parts = split(features, labels)
    rare = replace(parts, train=np.intersect1d(parts.train, rows), val=parts.val[:0])
    equal, balanced = (
        evaluate(rare, strengths=(0.1,), weights=w).rows[1]["recall"] for w in ("equal", "balanced")
    )
    assert balanced > equal


def test_a_training_part_of_one_class_is_joined_with_the_validation_part():
    features, labels = make_problem()
    parts = split(features, labels)
    lone = replace(parts, train=parts.train[labels[parts.train] == 0])
    assert evaluate(lone).details["C"] == 0.1
