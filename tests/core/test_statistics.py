import numpy as np
import pytest
from sklearn import metrics

from ssl_kit import confusion_by_group
from ssl_kit.core.statistics import (
    METRICS,
    Estimate,
    difference,
    metrics_of,
    per_class,
    resample,
)


@pytest.fixture(scope="module")
def answers():
    """Labels, predictions that are right two times in three, and groups of uneven size."""
    rng = np.random.default_rng(0)
    labels = rng.choice(4, size=300, p=[0.6, 0.2, 0.15, 0.05])
    guesses = rng.integers(4, size=300)
    return labels, np.where(rng.random(300) < 2 / 3, labels, guesses), rng.integers(40, size=300)


@pytest.fixture(scope="module")
def counts(answers):
    return confusion_by_group(*answers, classes=4)


def right_or_wrong(right, groups):
    """Counts of one class of two: what is right is class 0."""
    zeros = np.zeros(len(right), dtype=int)
    return confusion_by_group(zeros, 1 - np.asarray(right, dtype=int), groups, 2)


def test_confusion_is_counted_by_group():
    counts = confusion_by_group(
        np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([7, 7, -1]), classes=2
    )
    assert counts.tolist() == [[[0, 0], [0, 1]], [[1, 1], [0, 0]]]  # groups in sorted order


def test_confusion_agrees_with_scikit_learn(answers, counts):
    labels, predictions, _ = answers
    assert (counts.sum(axis=0) == metrics.confusion_matrix(labels, predictions)).all()


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("accuracy", metrics.accuracy_score),
        ("balanced_accuracy", metrics.balanced_accuracy_score),
        ("macro_f1", lambda y, p: metrics.f1_score(y, p, average="macro")),
    ],
)
def test_metric_agrees_with_scikit_learn(answers, counts, name, reference):
    labels, predictions, _ = answers
    assert METRICS[name](counts.sum(axis=0)) == pytest.approx(reference(labels, predictions))


def test_a_class_that_is_nowhere_does_not_count(answers):
    labels, predictions, groups = answers
    more = confusion_by_group(labels, predictions, groups, classes=6).sum(axis=0)
    less = confusion_by_group(labels, predictions, groups, classes=4).sum(axis=0)
    assert {k: f(more) for k, f in METRICS.items()} == {k: f(less) for k, f in METRICS.items()}


def test_rows_of_classes_agree_with_scikit_learn(answers, counts):
    precision, recall, f1, images = metrics.precision_recall_fscore_support(*answers[:2])
    for k, row in enumerate(per_class(counts, ("a", "b", "c", "d"))):
        assert row == {
            "class": "abcd"[k],
            "images": images[k],
            "recall": pytest.approx(recall[k]),
            "precision": pytest.approx(precision[k]),
            "f1": pytest.approx(f1[k]),
        }


def test_interval_of_a_share_is_the_binomial_one():
    right = np.arange(400) < 300
    found = metrics_of(right_or_wrong(right, np.arange(400)))["accuracy"]
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert found.value == 0.75
    assert found.low == pytest.approx(0.75 - half, abs=0.005)
    assert found.high == pytest.approx(0.75 + half, abs=0.005)


def test_interval_covers_the_truth_about_95_times_of_100():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(100):
        right = rng.random(100) < 0.7
        found = metrics_of(right_or_wrong(right, np.arange(100)))["accuracy"]
        covered += found.low <= 0.7 <= found.high
    assert 88 <= covered <= 99


def test_duplicates_in_a_group_make_the_interval_wider_than_single_images():
    right = np.repeat(np.arange(50) < 35, 9)
    single = metrics_of(right_or_wrong(right, np.arange(450)))["accuracy"]
    grouped = metrics_of(right_or_wrong(right, np.arange(450) // 9))["accuracy"]
    ratio = (grouped.high - grouped.low) / (single.high - single.low)
    assert grouped.value == single.value
    assert ratio == pytest.approx(3, rel=0.15)  # the square root of 9


def test_perfect_predictions_leave_no_doubt():
    found = metrics_of(right_or_wrong(np.ones(20), np.arange(20)))
    assert found["accuracy"] == Estimate(1.0, 1.0, 1.0)


def test_every_draw_has_as_many_groups_as_there_are():
    counts = right_or_wrong(np.arange(30) % 2, np.arange(30))
    assert (resample(counts, draws=50).sum(axis=(1, 2)) == 30).all()


def test_draws_depend_on_the_seed_alone(counts):
    assert (resample(counts, 20) == resample(counts, 20)).all()
    assert (resample(counts, 20, seed=1) != resample(counts, 20)).any()


def test_two_arms_are_drawn_alike(counts):
    assert (resample(counts + 1, 20).sum((1, 2)) - resample(counts, 20).sum((1, 2)) == 640).all()


@pytest.mark.parametrize("metric", METRICS)
def test_difference_of_identical_predictions_is_exactly_zero(counts, metric):
    assert difference(counts, counts, metric) == Estimate(0.0, 0.0, 0.0)


def test_difference_is_paired():
    rng = np.random.default_rng(0)
    control = rng.random(200) < 0.5
    better = control | (np.arange(200) % 20 == 0)
    ours, theirs = (right_or_wrong(r, np.arange(200)) for r in (better, control))
    found = difference(ours, theirs)
    alone = metrics_of(ours)["accuracy"]
    assert found.value == pytest.approx(better.mean() - control.mean())
    assert 0 < found.low < found.value < found.high
    assert found.high - found.low < (alone.high - alone.low) / 2


def test_difference_changes_sign_with_the_arms(counts):
    other = np.roll(counts, 1, axis=2)
    there, back = difference(counts, other), difference(other, counts)
    assert (back.value, back.low, back.high) == pytest.approx(
        (-there.value, -there.high, -there.low)
    )


def test_estimate_reads_as_per_cent():
    assert str(Estimate(0.75, 0.7, 0.8)) == "75.0 [70.0, 80.0]"
