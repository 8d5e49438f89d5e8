import subprocess
import sys

import numpy as np
import pytest

from ssl_kit.evaluation import Estimate, verdict
from ssl_kit.reports import words


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
    keys = {verdict(gain) for gain in (Estimate(1, 1, 1), Estimate(-1, -1, -1), None)}
    assert keys == set(words.VERDICTS) == set(words.OPPOSITE)
    assert all(words.OPPOSITE[words.OPPOSITE[key]] == key for key in keys)


def test_a_gain_is_a_sentence():
    gain = Estimate(0.05, 0.01, 0.09)
    sentence = "Pre-training helped: +5.0 points of balanced accuracy [+1.0, +9.0]."
    assert words.gain_sentence("helps", gain, "balanced_accuracy") == sentence
    alone = Estimate(0.05, np.nan, np.nan)
    assert words.gain_sentence("no evidence", alone, "x").endswith("helped or hurt.")


def test_a_pair_is_a_sentence():
    budgets = {"no evidence": ["all labels"], "helps": ["10 labels per class", "a", "b"]}
    assert words.pair_sentence("mine", "scratch", budgets) == (
        "mine is better than scratch with 10 labels per class, a and b; "
        "not measurably different from scratch with all labels."
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [("10", "10 labels per class"), ("0.01", "1 % of the labels"), ("all", "all labels")],
)
def test_budgets_are_in_words(name, text):
    assert words.budget_words(name) == text


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
    assert words.held_out_statement(2, 1, 0).startswith("The test set has 2 images of 1 group.")
    assert words.held_out_statement(2, 1, 1) == words.leak_warning(1)
    assert words.held_out_statement(0, 0, 0).startswith("No image is held out")


def test_columns_are_aligned_and_rows_may_be_short():
    rows = [["a", "long", 1], ["bbb", "x", 22], ["c"], [""]]
    assert words.aligned(rows) == ["a    long  1", "bbb  x     22", "c", ""]
    assert words.aligned([]) == []


def test_words_cost_nothing():
    code = "import sys, ssl_kit.reports.words; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("p", "text"), [(0.0312, "p = 0.031"), (0.0002, "p < 0.001")])
def test_p_values_are_short(p, text):
    assert words.p_value(p) == text
