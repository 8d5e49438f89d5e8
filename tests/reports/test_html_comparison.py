import json
import re
from pathlib import Path

import pytest

from ssl_kit import DataError
from ssl_kit.reports.html import comparison, page

EXAMPLE = Path(__file__).with_name("test_html_compare.json")


@pytest.fixture
def values():
    """What compare.json holds: a run, an arm from scratch, and one without weights."""
    return json.loads(EXAMPLE.read_text())


@pytest.fixture
def written(values, tmp_path):
    def write(**changes):
        (tmp_path / "compare.json").write_text(json.dumps({**values, **changes}))
        return page.write_report(tmp_path).read_text()

    return write


def test_the_page_holds_the_table_and_points_nowhere(written):
    html = written()
    visible = " ".join(re.sub(r"<[^>]*>", " ", html).split())
    assert "mine linear 60.0 [55.0, 65.0] 70.0 [65.0, 75.0] 80.0 [75.0, 85.0]" in visible
    assert "+20.0 [+15.0, +25.0] helps, p = 0.25" in visible
    assert "imagenet not compared no result no result no result" in visible
    assert (
        "10 labels per class 30 labels 50 % of the labels 60 labels all labels 120 labels"
        in visible
    )
    assert "ssl-kit compare mine scratch imagenet" in visible
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)
    assert "<b>" not in html


def test_an_overlap_is_said_in_red_at_the_top(written):
    page_with_overlap = written(leak={"shared": {"mine": 3}})
    alarm = '<p class="leak bad" role="alert">Pre-training used groups of the test set: 3 test'
    assert page_with_overlap.index(alarm) < page_with_overlap.index('id="results"')
    assert alarm not in written()


def test_the_answer_is_that_of_the_run_whichever_comes_first(values):
    answer = (
        "mine is better than scratch with 10 labels per class and 50 % of the labels; "
        "worse than scratch with all labels.",
        "bad",
    )
    assert comparison.context(values)["answers"] == [answer]
    turned = {"helps": "hurts", "hurts": "helps", "no evidence": "no evidence"}
    for d in values["differences"]:
        d["arm"], d["against"], d["verdict"] = d["against"], d["arm"], turned[d["verdict"]]
    assert comparison.context(values)["answers"] == [answer]


def test_the_plot_has_a_line_with_intervals_for_each_arm_that_has_results(values):
    chart = comparison.context(values)["chart"]
    assert [line.name for line in chart.lines] == ["mine", "scratch"]
    assert [len(line.bars) for line in chart.lines] == [3, 3]
    assert [tick.label for tick in chart.x_ticks] == ["30", "60", "120"]
    assert chart.tips[0][2] == "mine 60.0 [55.0, 65.0], labels 30"


def test_one_budget_is_no_plot(values):
    values["budgets"] = values["budgets"][:1]
    assert comparison.context(values)["chart"] is None


def test_the_best_arm_of_each_budget_is_marked(values):
    arms = comparison.context(values)["arms"]
    assert [[cell.tone for cell in row.cells] for row in arms] == [
        ["best", "best", ""], ["", "", "best"], ["", "", ""],
    ]  # fmt: skip


def test_an_evaluation_without_a_verdict_is_shown_too(written):
    assert "<h1>" in written(main="")


def test_without_a_main_metric_numbers_are_no_shares(values):
    for row in values["results"]:
        row["metrics"] = {"rankme": {"value": 154.2, "low": None, "high": None}}
    found = comparison.context({**values, "main": ""})
    assert {text for _, _, texts in found["metrics"][1] for text in texts} == {"154.2"}
    assert (found["pairs"], found["answers"], found["chart"]) == ([], [], None)


def test_no_results_at_all_are_shown_as_such(written):
    html = written(results=[], differences=[], main="", budgets=[{"name": "10", "labels": []}])
    assert "not compared. no network" in html
    assert "<svg" not in html


@pytest.mark.parametrize("text", ["{", '{"format": 1}', "[]"])
def test_a_file_that_cannot_be_read_is_a_plain_error(tmp_path, text):
    (tmp_path / "compare.json").write_text(text)
    with pytest.raises(DataError, match="Run 'ssl-kit compare' again"):
        page.write_report(tmp_path)
