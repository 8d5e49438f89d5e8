"""What the numbers of images of the classes decide, and what is said of it."""

import numpy as np
import pytest
from sklearn import metrics

from ssl_kit import UsageError
from ssl_kit.core.discovery import domains
from ssl_kit.data.splits import split
from ssl_kit.evaluation import (
    EvaluationData,
    GradesConfig,
    Result,
    average_results,
    draw_labels,
    main_metric,
    rarest,
)
from ssl_kit.evaluation.own_predictions import OwnPredictions
from ssl_kit.evaluation.side_by_side import SideBySide
from ssl_kit.plugins.evaluations.knn import KNN, KNNConfig
from ssl_kit.reports.text import evaluation

CLASSES = ("burned", "unburned")


def unequal(skill=1.0, seed=0, n=200):
    """Labels of which 20 % are "burned", probabilities that know something of them, and groups."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 5 > 0).astype(int)
    odds = np.exp(rng.normal(size=(n, 2)) + skill * np.eye(2)[labels])
    return labels, odds / odds.sum(axis=1, keepdims=True), np.arange(n) // 10


def result(skill=1.0, **options):
    labels, scores, groups = unequal(skill)
    return Result.of_classification(labels, scores, groups, CLASSES, **options)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((95, 18), "balanced_accuracy"),
        ((30, 10), "accuracy"),  # exactly 1.5 times one half
        ((31, 10), "balanced_accuracy"),
        ((10, 10, 10), "accuracy"),
        ((15, *[10] * 9), "accuracy"),
        ((0, 7), "accuracy"),
        ((), "accuracy"),
    ],
)
def test_the_main_metric_goes_by_the_share_of_the_largest_class(counts, expected):
    assert main_metric(np.repeat(np.arange(len(counts)), counts).astype(int)) == expected


def test_the_main_metric_does_not_depend_on_the_predictions():
    assert result(0.0).main == result(9.0).main == "balanced_accuracy"
    labels, scores, groups = unequal()
    ordered = Result.of_classification(labels, scores, groups, CLASSES, order=CLASSES)
    assert ordered.main == "quadratic_kappa"


def test_the_rarest_class_is_the_last_of_equals_and_unlabeled_images_do_not_count():
    assert rarest(np.array([0, 1, 1, -1, -1, -1]), "ab") == "a"
    assert rarest(np.array([0, 1, 2, 2]), "abc") == "b"
    assert rarest(np.array([0, 1, -1]), "ab") == "b"


def test_metrics_of_two_classes_are_those_of_the_positive_one():
    labels, scores, groups = unequal()
    found = Result.of_classification(labels, scores, groups, CLASSES, positive="burned")
    burned, called = labels == 0, scores[:, 0] >= 0.5
    expected = {
        "auroc": metrics.roc_auc_score(burned, scores[:, 0]),
        "auprc": metrics.average_precision_score(burned, scores[:, 0]),
        "sensitivity": metrics.recall_score(burned, called),
        "specificity": metrics.recall_score(~burned, ~called),
    }
    for name, value in expected.items():
        assert found.metrics[name].value == pytest.approx(value, abs=1e-6), name
    assert found.details["operating_point"] == {"positive": "burned", "threshold": 0.5}


def test_the_threshold_is_one_of_the_positive_class():
    labels, scores, _ = unequal(seed=4)
    found = result(positive="burned", validation=(labels, scores))
    mirrored = result(validation=(labels, scores))
    points = [each.details["operating_point"]["threshold"] for each in (found, mirrored)]
    assert points[0] == pytest.approx(1 - points[1], abs=0.05)
    assert result(positive="burned", threshold=0.2).details["operating_point"]["threshold"] == 0.2


def test_the_positive_class_is_the_rarer_one_the_highest_grade_or_the_one_that_is_set():
    assert GradesConfig().positive_class(CLASSES, "burned") == "burned"
    assert GradesConfig().positive_class(("a", "b", "c"), "a") == ""
    assert GradesConfig(ordinal=True).positive_class(("grade 0", "grade 1"), "grade 0") == "grade 1"
    assert GradesConfig(positive="unburned").positive_class(CLASSES, "burned") == "unburned"


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (CLASSES, "have the classes burned, unburned. Did you mean 'burned'?"),
        (("burned", "x", "y"), "not the name of one of two classes. The images have the classes"),
    ],
)
def test_a_wrong_positive_class_is_named_before_images_are_read(memory_dataset, classes, message):
    labels = list(classes) * 12
    images = [np.zeros((8, 8, 1), np.uint8)] * len(labels)
    dataset = memory_dataset(images, labels=labels)
    data = EvaluationData(dataset, split(dataset.index, 0.3), domains["natural"])
    positive = "burnd" if len(classes) == 2 else "burned"
    with pytest.raises(UsageError, match=r"^positive='") as refusal:
        KNN(KNNConfig(positive=positive)).check(data)
    assert message in str(refusal.value)


def test_all_budgets_of_labels_have_the_same_positive_class(memory_dataset):
    labels = ["burned", *["unburned"] * 4] * 12
    dataset = memory_dataset([np.zeros((8, 8, 1), np.uint8)] * 60, labels=labels)
    data = EvaluationData(dataset, split(dataset.index, 0.3), domains["natural"])
    known = np.concatenate([data.splits.train, data.splits.val])
    few = data.limited(draw_labels(dataset.index, known, 3, 0))
    assert few.rarest == few.limited(few.splits.train).rarest == data.rarest == "burned"


def test_a_prediction_of_one_class_for_every_image_is_remarked():
    labels, scores, groups = unequal()
    constant = Result.of_classification(labels, scores * 0 + [0.2, 0.8], groups, CLASSES)
    assert constant.constant == average_results([constant, constant]).constant == "unburned"
    assert average_results([constant, result()]).constant == result().constant == ""
    assert Result.of_parts({"5": constant}, "5").constant == "unburned"
    text = evaluation([SideBySide.of("knn", {"mine": constant, "start": result()})], 0)
    assert "'mine' predicts 'unburned' for every test image." in text
    assert "'start' predicts" not in text


def test_images_of_one_class_make_no_constant_prediction():
    one = np.zeros(20, dtype=int)
    assert Result.of_classification(one, one, np.arange(20), CLASSES).constant == ""


def test_the_table_says_which_metric_is_main_and_names_class_and_threshold():
    text = evaluation([SideBySide.of("knn", {"mine": result(positive="burned")})], 0)
    assert "balanced_accuracy *" in text
    assert "80 % of the test images are 'unburned'" in text
    assert "sensitivity and specificity is 'burned'" in text
    assert "] at 0.5" in text


def test_a_classifier_is_tested_at_its_own_operating_point(memory_dataset, monkeypatch):
    class Tuned:
        classes, grades = CLASSES, ()
        operating_point = {"positive": "burned", "threshold": 0.25}  # noqa: RUF012

        def read_json(self, name):
            return {"groups": []}

    labels = ["burned", *["unburned"] * 4] * 4
    dataset = memory_dataset([np.zeros((8, 8, 1), np.uint8)] * 20, labels=labels)
    data = EvaluationData(dataset, split(dataset.index, 0.3), domains["natural"])
    monkeypatch.setattr(
        EvaluationData, "embed", lambda self, model, rows: (np.zeros((len(rows), 2)), rows)
    )
    predicted = np.tile([0.3, 0.7], (20, 1))
    monkeypatch.setattr(OwnPredictions, "_predict", lambda self, features: predicted)
    found = OwnPredictions(Tuned()).evaluate(None, data)
    assert found.details["operating_point"] == Tuned.operating_point
    assert found.metrics["sensitivity"].value == 1
    assert found.constant == "unburned"
