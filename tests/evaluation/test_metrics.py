import numpy as np
import pytest
from sklearn import metrics

from ssl_kit.evaluation.confusion import METRICS, kappa, quadratic_kappa
from ssl_kit.evaluation.metrics import Predictions, Ranking, ScoredPredictions, operating_point

CLASSES = ("a", "b", "c", "d")


def make(classes=4, n=300, ties=True, seed=0):
    """Labels of uneven classes, probabilities that know something of them, uneven groups."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, size=n, p=np.arange(1, classes + 1) / sum(range(classes + 1)))
    logits = rng.normal(size=(n, classes)) + 1.2 * np.eye(classes)[labels]
    logits = np.round(logits) if ties else logits
    odds = np.exp(logits)
    return labels, odds / odds.sum(axis=1, keepdims=True), rng.integers(40, size=n)


def answers(labels, scores, groups, **more):
    classes = CLASSES[: scores.shape[1]]
    given = (labels, scores.argmax(axis=1), groups, classes)
    return ScoredPredictions(*given, probabilities=scores, **more)


def once(predictions):
    weights = np.ones((predictions.codes[1], 1), np.float32)
    return {name: value[0] for name, value in predictions(weights).items()}


def repeated(labels, scores, groups, weights):
    """The images of a draw, each as often as its group was drawn."""
    times = weights[np.unique(groups, return_inverse=True)[1]].astype(int)
    return np.repeat(labels, times), np.repeat(scores, times, axis=0)


def slow_ece(labels, scores, bins=15):
    total = 0.0
    for b in range(bins):
        rows = [i for i, p in enumerate(scores.max(axis=1)) if b / bins < p <= (b + 1) / bins]
        if rows:
            hit = np.mean([scores[i].argmax() == labels[i] for i in rows])
            total += len(rows) / len(labels) * abs(hit - np.mean([scores[i].max() for i in rows]))
    return total


REFERENCES = {
    "accuracy": lambda y, s: metrics.accuracy_score(y, s.argmax(1)),
    "balanced_accuracy": lambda y, s: metrics.balanced_accuracy_score(y, s.argmax(1)),
    "macro_f1": lambda y, s: metrics.f1_score(y, s.argmax(1), average="macro"),
    "kappa": lambda y, s: metrics.cohen_kappa_score(y, s.argmax(1)),
    "quadratic_kappa": lambda y, s: metrics.cohen_kappa_score(y, s.argmax(1), weights="quadratic"),
    "mean_absolute_error": lambda y, s: metrics.mean_absolute_error(y, s.argmax(1)),
    "auroc": lambda y, s: metrics.roc_auc_score(y, s, multi_class="ovr"),
    "auprc": lambda y, s: metrics.average_precision_score(np.eye(4)[y], s),
    "ece": slow_ece,
}


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("name", REFERENCES)
def test_metric_agrees_with_scikit_learn(name, ties):
    labels, scores, groups = make(ties=ties)
    computed = once(answers(labels, scores, groups, ordinal=True))
    assert computed[name] == pytest.approx(REFERENCES[name](labels, scores), abs=1e-6)


def test_there_is_a_reference_for_every_metric():
    assert set(once(answers(*make(), ordinal=True))) == set(REFERENCES)


@pytest.mark.parametrize("name", REFERENCES)
def test_weighted_groups_agree_with_scikit_learn_on_repeated_images(name):
    labels, scores, groups = make()
    predictions = answers(labels, scores, groups, ordinal=True)
    weights = np.random.default_rng(0).integers(3, size=(40, 5)).astype(np.float32)
    expected = [REFERENCES[name](*repeated(labels, scores, groups, w)) for w in weights.T]
    assert predictions(weights)[name] == pytest.approx(expected, abs=1e-6)


def test_two_classes_are_scored_by_the_second():
    labels, scores, groups = make(classes=2)
    computed = once(answers(labels, scores, groups))
    assert computed["auroc"] == pytest.approx(metrics.roc_auc_score(labels, scores[:, 1]))
    assert computed["auprc"] == pytest.approx(metrics.average_precision_score(labels, scores[:, 1]))


def test_sensitivity_and_specificity_at_a_threshold():
    labels, scores, groups = make(classes=2)
    computed = once(answers(labels, scores, groups, threshold=0.3))
    called = scores[:, 1] >= 0.3
    assert computed["sensitivity"] == pytest.approx(metrics.recall_score(labels, called))
    assert computed["specificity"] == pytest.approx(metrics.recall_score(1 - labels, ~called))


def test_operating_point_is_the_best_of_all_thresholds():
    labels, scores, _ = make(classes=2)
    positive, p = labels == 1, scores[:, 1]
    values = [(p[positive] >= t).mean() + (p[~positive] < t).mean() for t in np.unique(p)]
    chosen = operating_point(positive, p)
    assert (p[positive] >= chosen).mean() + (p[~positive] < chosen).mean() == max(values)
    assert np.isfinite(chosen)


def test_operating_point_of_separable_classes_is_in_the_middle_of_the_gap():
    assert operating_point(np.array([0, 0, 1, 1]) > 0, np.array([0.1, 0.3, 0.9, 1.0])) == 0.6


def test_a_class_that_is_nowhere_does_not_count():
    labels, scores, groups = make(classes=3)
    wider = np.column_stack([scores, np.zeros(len(scores))])
    more, less = once(answers(labels, wider, groups)), once(answers(labels, scores, groups))
    assert more == pytest.approx(less)


def test_a_draw_without_a_class_averages_the_others():
    labels, scores = np.array([0, 1, 2, 2]), np.eye(3)[[0, 1, 2, 1]]
    predictions = answers(labels, scores, np.arange(4))
    computed = predictions(np.array([[1], [1], [0], [0]], np.float32))
    assert computed["auroc"] == 1.0
    assert np.isnan(predictions(np.array([[2], [0], [0], [0]], np.float32))["auroc"])


def test_area_of_equal_scores_is_a_half():
    roc, precision = Ranking(np.arange(8) < 2, np.zeros(8)).areas(np.ones((8, 1), np.float32))
    assert (roc[0], precision[0]) == (0.5, 0.25)


def test_kappa_costs():
    confusion = np.array([[8.0, 2, 0], [1, 7, 2], [3, 0, 7]])
    for power, weights in ((0, None), (1, "linear"), (2, "quadratic")):
        y, p = (
            np.repeat(grid.ravel(), confusion.ravel().astype(int)) for grid in np.indices((3, 3))
        )
        expected = metrics.cohen_kappa_score(y, p, weights=weights)
        assert kappa(confusion, power) == pytest.approx(expected)
    assert quadratic_kappa(np.diag([3.0, 4, 5])) == 1


def test_confusion_agrees_with_scikit_learn():
    labels, scores, groups = make()
    predictions = answers(labels, scores, groups)
    assert (predictions.confusion() == metrics.confusion_matrix(labels, scores.argmax(1))).all()


def test_scores_by_group_agree_with_a_loop():
    labels, scores, groups = make()
    right = scores.argmax(1) == labels
    expected = [right[groups == g].mean() for g in np.unique(groups)]
    assert answers(labels, scores, groups).by_group() == pytest.approx(expected)


def test_rows_of_classes_agree_with_scikit_learn():
    labels, scores, groups = make()
    reference = metrics.precision_recall_fscore_support(labels, scores.argmax(1))
    precision, recall, f1, images = reference
    for k, row in enumerate(answers(labels, scores, groups).rows()):
        assert row == {
            "class": "abcd"[k],
            "images": images[k],
            "recall": pytest.approx(recall[k]),
            "precision": pytest.approx(precision[k]),
            "f1": pytest.approx(f1[k]),
        }


def test_without_probabilities_what_needs_scores_is_left_out():
    labels, scores, groups = make()
    assert set(once(Predictions(labels, scores.argmax(1), groups, CLASSES))) == set(METRICS)


@pytest.mark.parametrize("wanted", [0.3, 0.5, 0.95, 1.0])
def test_an_operating_point_of_a_sensitivity_is_the_highest_that_has_it(wanted):
    rng = np.random.default_rng(3)
    positive = rng.random(200) < 0.2
    p = (positive * 0.3 + rng.random(200)).round(2)  # with ties
    chosen = operating_point(positive, p, wanted)

    def sensitivity(threshold):
        return sum(s >= threshold for s in p[positive]) / positive.sum()

    assert sensitivity(chosen) >= wanted
    specificities = [(p[~positive] < t).mean() for t in p if sensitivity(t) >= wanted]
    assert (p[~positive] < chosen).mean() == max(specificities)
