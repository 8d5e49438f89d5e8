"""What the notes below a comparison say of seeds, classes and constant predictions."""

import json
import re
from pathlib import Path

import pytest

from ssl_kit.reports.comparison import comparison_notes, table


@pytest.fixture
def values():
    return json.loads((Path(__file__).parent / "test_html_compare.json").read_text())


def counted(values, answer):
    for row in [*values["results"], *values["differences"]]:
        row["seeds_counted"] = answer
    return values


def test_a_budget_is_in_the_unit_of_the_evaluation(values):
    values["budgets"][0]["name"] = "10"
    assert "10 labels per class" in table(values)
    assert "10 labeled images" in table({**values, "budget_unit": "labeled images"})


def test_what_intervals_cover_is_said_in_one_way(values):
    assert "over test groups and seeds\n" in table(counted(values, True))
    assert "for these seeds only" not in table(counted(values, True))
    text = table({**counted(values, False), "seeds": 2})
    assert "intervals over test groups\n" in text
    assert "for these seeds only, because 2 seeds of so few arms" in text
    assert "and seeds\n" not in text


def test_one_seed_is_said(values):
    notes = comparison_notes({**counted(values, None), "seeds": 1})
    assert "There is one seed: intervals do not cover other draws of labels and weights." in (
        " ".join(notes)
    )


def test_an_arm_that_predicts_one_class_is_named_with_budget_and_seeds(values):
    row = values["results"][0]
    row |= {"repeats": 3, "constant": ["c", "", "c"]}
    notes = comparison_notes(values)
    assert (
        f"'{row['arm']}' predicts 'c' for every test image (10 labels per class, 2 of 3 seeds)."
        in notes
    )


def test_the_reason_of_the_main_metric_stands_below_the_table(values):
    classes = [{"class": "a", "images": 1}, {"class": "c", "images": 19}]
    values["results"][0]["classes"] = classes
    assert "95 % of the test images are 'c'" in table({**values, "main": "balanced_accuracy"})
    assert "main metric" not in table({**values, "main": "accuracy"})


def without_main(values):
    """What compare.json holds of an evaluation such as `spectrum`, at one budget."""
    budget = values["budgets"][0]["name"]
    rows = [row for row in values["results"] if row["budget"] == budget]
    for row in rows:
        row["metrics"] = {"rankme": {"value": 154.2, "low": None, "high": None}}
    kept = {"results": rows, "budgets": values["budgets"][:1], "evaluation": "spectrum"}
    return {**values, **kept, "main": ""}


def test_without_a_main_metric_all_metrics_are_printed_and_no_verdicts(values):
    text = table(without_main(values))
    assert re.search(r"rankme +154.2 +154.2", text)
    assert "no main metric" in text
    assert not any(words in text for words in ("percent", "six are needed", "against"))


def test_sentences_on_classes_name_what_is_predicted(values):
    row = values["results"][0]
    row |= {"repeats": 1, "constant": ["c"]}
    row["classes"] = [{"class": "a", "images": 1}, {"class": "c", "images": 19}]
    text = table({**values, "main": "balanced_accuracy", "unit": "bag"})
    assert "95 % of the test bags are 'c', so that predicting it for every bag has" in text
    assert "predicts 'c' for every test bag" in text
