import subprocess
import sys

import numpy as np
import pytest

from ssl_kit.evaluation import Estimate, verdict
from ssl_kit.reports import class_words, comparison, metrics, words


@pytest.mark.parametrize(
    ("estimate", "options", "text"),
    [
        (Estimate(0.75, 0.701, 0.798), {}, "75.0 [70.1, 79.8]"),
        ({"value": 0.75, "low": 0.701, "high": 0.798}, {}, "75.0 [70.1, 79.8]"),
        (Estimate(0.05, -0.01, 0.11), {"signed": True}, "+5.0 [-1.0, +11.0]"),
        (Estimate(12.344, np.nan, np.nan), {"percent": False}, "12.34"),
        ({"value": 0.5, "low": None, "high": None}, {}, "50.0"),
        ({"value": None, "low": None, "high": None}, {}, "-"),
        (Estimate(np.nan, np.nan, np.nan), {}, "-"),
        (None, {}, "-"),
    ],
)
def test_an_estimate_is_a_value_and_an_interval(estimate, options, text):
    assert words.estimate_text(estimate, **options) == text


def test_every_verdict_has_words_and_an_opposite():
    gains = (Estimate(1, 1, 1), Estimate(-1, -1, -1), Estimate(0, -1, 1), None)
    keys = {verdict(gain, 6) for gain in gains}
    assert keys == set(words.VERDICTS) == set(words.OPPOSITE)
    assert all(words.OPPOSITE[words.OPPOSITE[key]] == key for key in keys)


def test_a_gain_is_a_sentence():
    gain = Estimate(0.05, 0.01, 0.09)
    sentence = "Pre-training helped: +5.0 points of balanced accuracy [+1.0, +9.0] over 'x'."
    assert words.gain_sentence("helps", gain, "balanced_accuracy", "x", 9) == sentence


@pytest.mark.parametrize(
    ("groups", "start"),
    [
        (1, "No verdict: 1 test group, six are needed. The gain"),
        (9, "No verdict: the difference has no interval. The gain"),
    ],
)
def test_where_there_is_no_verdict_the_reason_is_said(groups, start):
    gain = Estimate(0.05, np.nan, np.nan)
    sentence = words.gain_sentence("no verdict", gain, "accuracy", "untrained", groups)
    assert sentence.startswith(start)
    assert sentence.endswith("over 'untrained' is +5.0 points of accuracy.")


@pytest.mark.parametrize(
    ("seconds", "epochs", "short"),
    [(60, 100, True), (600, 2, True), (600, 5, False), (4000, 1, False)],
)
def test_short_training_is_said(seconds, epochs, short):
    sentence = words.short_training({"seconds": seconds, "epochs": epochs})
    assert sentence.startswith("Pre-training was short") == short
    assert words.short_training({}) == ""


def test_metrics_say_what_they_refer_to():
    assert metrics.direction("ece@10") == " (lower is better)"
    assert metrics.direction("ece_per_group") == metrics.direction("ece_of_others") != ""
    assert metrics.direction("accuracy") == ""
    assert "sensitivity and specificity is 'tumor'." in class_words.positive_class("tumor")
    assert class_words.at_threshold({"positive": "tumor", "threshold": 0.371}) == "at 0.37"
    assert metrics.at_threshold("sensitivity@5") == " (at its own threshold)"
    assert words.tested_on(1200, 1) == "Tested on 1,200 images of 1 group."
    assert (
        words.tested_on(0, 0) == class_words.positive_class("") == metrics.at_threshold("f1") == ""
    )


def test_the_main_metric_has_its_reason_beside_it():
    rows = [{"class": "burned", "images": 18}, {"class": "unburned", "images": 95}]
    reason = class_words.main_metric_reason("balanced_accuracy@5", rows)
    assert "84 % of the test images are 'unburned'" in reason
    assert class_words.main_metric_reason("accuracy", rows) == ""
    assert class_words.main_metric_reason("balanced_accuracy", []) == ""


def test_a_pair_is_a_sentence():
    budgets = {"no evidence": ["all labels"], "helps": ["10 labels per class", "a", "b"]}
    assert comparison.pair_sentence("mine", "scratch", budgets, 9) == (
        "mine is better than scratch with 10 labels per class, a and b; "
        "not measurably different from scratch with all labels."
    )


def test_a_pair_without_verdict_is_a_sentence():
    sentence = comparison.pair_sentence("mine", "scratch", {"no verdict": ["all labels"]}, 3)
    assert sentence == (
        "mine is not judged against scratch with all labels "
        "(no verdict: 3 test groups, six are needed)."
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [("10", "10 labels per class"), ("0.01", "1 % of the labels"), ("all", "all labels")],
)
def test_budgets_are_in_words(name, text):
    assert comparison.budget_words({}, name) == text


def test_a_budget_may_count_something_else():
    values = {"budget_unit": "labeled images"}
    assert comparison.budget_words(values, "10") == "10 labeled images"


@pytest.mark.parametrize(
    ("name", "text"),
    [("balanced_accuracy", "balanced accuracy"), ("macro_f1", "macro F1"), ("ece", "ECE")],
)
def test_metrics_are_in_words(name, text):
    assert words.spaced(name) == text


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 image"), (0, "0 images"), (1204, "1,204 images")]
)
def test_counts_have_the_right_number(count, text):
    assert words.plural(count, "image") == text


def test_leaks_are_said_in_numbers():
    assert words.leak_warning(1).startswith("1 test group was also used for pre-training")
    assert words.leak_statement({}).startswith("No run was pre-trained on a group of the test set")
    assert "3 test groups by 'a' and 1 test group by 'b'" in words.leak_statement({"a": 3, "b": 1})
    assert "only earlier images were used by 'own'" in words.leak_statement({}, ["own"])
    assert words.held_out_statement(2, 1, 0).endswith("was used for pre-training.")
    assert words.held_out_statement(2, 1, 1) == words.leak_warning(1)
    assert words.held_out_statement(0, 0, 0).startswith("No image is held out")


def test_words_cost_nothing():
    code = "import sys, ssl_kit.reports.words; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("p", "text"), [(0.0312, "p = 0.031"), (0.0002, "p < 0.001")])
def test_p_values_are_short(p, text):
    assert words.p_value(p) == text


def test_a_gain_without_any_difference_is_no_certainty():
    gain = Estimate(0.0, 0.0, 0.0)
    sentence = words.gain_sentence("no evidence", gain, "accuracy", "start", 7)
    assert "accuracy is the same in each of 7 test groups" in sentence


def test_a_sensitivity_that_was_asked_for_is_named():
    sentence = class_words.positive_class("tumor", 0.95)
    assert "on the validation images for a sensitivity of at least 95 %;" in sentence
