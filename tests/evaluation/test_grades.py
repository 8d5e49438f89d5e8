import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from ssl_kit import UsageError, validate
from ssl_kit.core.discovery import domains, evaluations
from ssl_kit.data.splits import split
from ssl_kit.evaluation import (
    EvaluationData,
    GradesConfig,
    Result,
    average_results,
    in_order,
    paired_difference,
)
from ssl_kit.evaluation.comparing.plan import _reporting_alike
from ssl_kit.evaluation.requests import choose

GRADES = ("mild", "none", "severe", "moderate")
ORDER = ("none", "mild", "moderate", "severe")


@pytest.mark.parametrize(
    ("classes", "ordered"),
    [
        (("0", "1", "10", "2"), ("0", "1", "2", "10")),
        (("grade0", "grade10", "grade9"), ("grade0", "grade9", "grade10")),
        (("KL 2", "KL 0", "KL 1"), ("KL 0", "KL 1", "KL 2")),
        (("2 mild", "0 normal", "1 doubtful"), ("0 normal", "1 doubtful", "2 mild")),
        (("ISUP2014_3", "ISUP2014_1"), ("ISUP2014_1", "ISUP2014_3")),
        (("-1", "+1", "0"), ("-1", "0", "+1")),
        (("0.5", "0", "1,5"), ("0", "0.5", "1,5")),
        (("I", "II", "III", "IV", "IX"), ("I", "II", "III", "IV", "IX")),
        (("stage_IV", "stage_0", "stage_I"), ("stage_0", "stage_I", "stage_IV")),
    ],
)
def test_the_order_is_that_of_the_numbers_in_the_names(classes, ordered):
    assert GradesConfig(ordinal=True).order(classes) == ordered
    assert GradesConfig().order(classes) == ()


@pytest.mark.parametrize(
    "classes",
    [("benign", "malignant"), ("control", "1", "2"), ("3+4", "4+3", "3+3"), ("T1a", "T1b")],
)
def test_names_without_an_order_are_refused_and_the_option_is_named(classes):
    with pytest.raises(UsageError, match=r"cannot be told .* --set 'linear.classes_order=\["):
        GradesConfig(ordinal=True).order(classes)


def test_an_order_that_is_given_must_name_the_classes_of_the_images():
    assert GradesConfig(classes_order=ORDER).order(GRADES) == ORDER
    with pytest.raises(UsageError, match="but the images have mild, none, severe, moderate"):
        GradesConfig(classes_order=ORDER[:3]).order(GRADES)


def make(seed=0, n=90):
    rng = np.random.default_rng(seed)
    labels, groups = np.random.default_rng(5).integers(4, size=n), np.arange(n) // 3
    return labels, rng.dirichlet(np.ones(4), n) + 0.3 * np.eye(4)[labels], groups


def slow_kappa(truth, predicted):
    """Cohen 1968: one minus observed over expected squared distance, pair by pair."""
    observed = np.mean([(a - b) ** 2 for a, b in zip(truth, predicted, strict=True)])
    return 1 - observed / np.mean([(a - b) ** 2 for a in truth for b in predicted])


def test_results_of_grades_agree_with_scikit_learn_and_with_slow_sums():
    labels, scores, groups = make()
    result = Result.of_classification(labels, scores, groups, GRADES, (labels, scores), ORDER)
    grade = np.array([ORDER.index(name) for name in GRADES])
    truth, predicted = grade[labels], grade[scores.argmax(axis=1)]
    kappa, apart = (result.metrics[m] for m in ("quadratic_kappa", "mean_absolute_error"))
    assert result.main == "quadratic_kappa"
    assert kappa.value == pytest.approx(slow_kappa(truth, predicted))
    assert kappa.value == pytest.approx(cohen_kappa_score(truth, predicted, weights="quadratic"))
    assert apart.value == pytest.approx(mean_absolute_error(truth, predicted))
    assert kappa.low < kappa.value < kappa.high
    assert apart.low < apart.value < apart.high
    assert [row["class"] for row in result.rows] == list(ORDER) == result.details["grades"]
    agreement = 1 - ((truth - predicted) / 3) ** 2
    assert result.by_group == pytest.approx(agreement.reshape(-1, 3).mean(axis=1))


def test_other_metrics_do_not_change_with_the_order_of_the_classes():
    labels, scores, groups = make()
    plain = Result.of_classification(labels, scores, groups, GRADES)
    ordered = Result.of_classification(labels, scores, groups, GRADES, None, ORDER)
    for name in plain.metrics:
        assert ordered.metrics[name].value == pytest.approx(plain.metrics[name].value), name
    numbers = in_order(ORDER, GRADES, labels, scores.argmax(axis=1))
    assert (numbers[1] == in_order(ORDER, GRADES, labels, scores)[1].argmax(axis=1)).all()


def test_an_error_above_one_grade_has_an_interval_too():
    labels, _, groups = make()
    far = Result.of_classification(labels, 3 - labels, groups, ORDER, None, ORDER)
    near = Result.of_classification(labels, labels, groups, ORDER, None, ORDER)
    apart = far.metrics["mean_absolute_error"]
    assert 1 < apart.low < apart.value < apart.high < 3
    gain = paired_difference(far, near, "mean_absolute_error")
    assert gain.low > 1
    seeds = [Result.of_classification(*make(s)[:2], groups, ORDER, None, ORDER) for s in (1, 2)]
    assert average_results(seeds).metrics["mean_absolute_error"].high > 0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("knn", {"ordinal": True}),
        ("linear", {"ordinal": True}),
        ("finetune", {"ordinal": True}),
        ("leave_one_out", {"ordinal": True}),
        ("few_labels", {"options": {"ordinal": True}}),
        ("label_fractions", {"options": {"ordinal": True}}),
    ],
)
def test_classes_without_an_order_are_refused_before_an_encoder_is_loaded(
    name, options, memory_dataset
):
    images = [np.zeros((8, 8, 1), np.uint8)] * 40
    dataset = memory_dataset(images, labels=["low", "high"] * 20)
    data = EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"])
    kind = evaluations[name]
    with pytest.raises(UsageError, match=r"classes high, low cannot be told"):
        kind(validate(kind.Config, options)).check(data)


def test_in_a_comparison_all_arms_have_the_order_that_one_evaluation_has():
    chosen = _reporting_alike(choose(["linear", "finetune"], {"linear.ordinal": True}))
    assert chosen["finetune"].config.ordinal
    positive = _reporting_alike(choose(["linear", "finetune"], {"linear.positive": "none"}))
    assert positive["finetune"].config.positive == "none"
    plain = _reporting_alike(choose(["linear", "finetune"], {"linear.iterations": 7}))
    assert not plain["finetune"].config.ordinal


@pytest.mark.parametrize(
    ("classes", "threshold", "message"),
    [
        (("a", "b", "c"), True, "the images have 3 classes. Leave it out."),
        (("a", "b"), False, "none is chosen here. Leave it out."),
    ],
)
def test_a_sensitivity_without_a_threshold_is_refused(classes, threshold, message):
    with pytest.raises(UsageError, match=message):
        GradesConfig(sensitivity=0.9).check(classes, threshold)
    GradesConfig().check(classes, threshold)
