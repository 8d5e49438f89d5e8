import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from ssl_kit import DataError
from ssl_kit.cli import main
from ssl_kit.evaluation import Estimate, Result
from ssl_kit.evaluation.records import StoredEvaluation, load_evaluations, save_evaluation
from ssl_kit.evaluation.side_by_side import SideBySide
from ssl_kit.reports.html import page
from ssl_kit.reports.html.evaluations import section
from ssl_kit.training.run import Run

DATA = {"path": "", "fingerprint": "f", "domain": "natural"}


def stored(results, **changes):
    values = {"command": "ssl-kit evaluate x", "time": "2025-01-02T03:04:05", "data": DATA}
    return StoredEvaluation(results, **{**values, "shared": 0, "stale": False, **changes})


def classified(right):
    labels = np.arange(40) % 2
    predictions = np.where(np.arange(40) < right, labels, 1 - labels)
    return Result.of_classification(labels, predictions, np.arange(40), ("a", "b"))


@pytest.fixture(scope="module")
def evaluated(finished_run, tmp_path_factory):
    """A run with an evaluation on its own images, and one on others."""
    run = Run(shutil.copytree(finished_run.folder, tmp_path_factory.mktemp("evaluated") / "tiny"))
    shutil.rmtree(run.folder / "evaluations", ignore_errors=True)
    results = SideBySide.of("knn", {"tiny": classified(30), "untrained": classified(10)})
    command = "ssl-kit evaluate tiny --evaluation knn"
    own = run.read_json("manifest.json")["data"]["fingerprint"]
    for data in (DATA | {"fingerprint": own}, DATA | {"path": "other/tiles"}):
        save_evaluation(run, results, command=command, data=data, shared=0)
    return run


@pytest.fixture
def copy(evaluated, tmp_path):
    return Run(shutil.copytree(evaluated.folder, tmp_path / "run"))


def text_of(made):
    return " ".join(re.sub(r"<[^>]*>", " ", made.decode()).split())


def test_the_page_shows_the_stored_evaluation(evaluated):
    text = text_of(page.run_page(evaluated))
    for words in (
        "Metric in percent tiny untrained gain accuracy 75.0 [", "Pre-training helped: +50.0",
        "ssl-kit evaluate tiny --evaluation knn", "Results by class", "Confusion matrix",
    ):  # fmt: skip
        assert words in text
    assert "Stale" not in text
    assert "has not been evaluated yet" not in text


def test_the_page_names_the_images_of_each_evaluation(evaluated):
    headings = re.findall(r"<h3>(knn .*?)</h3>", page.run_page(evaluated).decode())
    assert headings == ["knn on demo of natural", "knn on tiles"]


def test_the_page_shows_what_the_command_has_stored(finished_run, tmp_path):
    run = Run(shutil.copytree(finished_run.folder, tmp_path / "tiny"))
    done = CliRunner().invoke(main, ["evaluate", str(run.folder), "--evaluation", "knn"])
    assert done.exit_code == 0, done.output
    results = {e.results.evaluation: e.results for e in load_evaluations(run)}["knn"]
    accuracy = results.results["tiny"].metrics["accuracy"].value
    assert f"accuracy {100 * accuracy:.1f} [" in text_of(page.run_page(run))


def test_without_one_the_page_says_which_command_makes_one(finished_run, tmp_path):
    run = Run(shutil.copytree(finished_run.folder, tmp_path / "run"))
    shutil.rmtree(run.folder / "evaluations", ignore_errors=True)
    text = text_of(page.run_page(run))
    assert "has not been evaluated yet" in text
    assert f"ssl-kit evaluate {run.folder}" in text


def test_an_evaluation_of_another_encoder_is_stale(copy):
    run = copy
    path = run.folder / "evaluations" / "knn.json"
    path.write_text(re.sub(r'"encoder": "\w+"', '"encoder": "0"', path.read_text()))
    words = "Stale: the encoder has changed since this evaluation. Run ssl-kit evaluate tiny"
    assert words in text_of(page.run_page(run))


def test_an_evaluation_is_shown_where_the_images_have_moved(copy):
    config = copy.folder / "config.toml"
    config.write_text(re.sub(r'path = ".*"', 'path = "/nowhere"', config.read_text()))
    text = text_of(page.run_page(Run(copy.folder)))
    assert "The images are not available" in text
    assert "Metric in percent" in text


def test_a_damaged_evaluation_is_an_error_in_one_line(copy):
    (copy.folder / "evaluations" / "knn.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"knn\.json"):
        page.run_page(copy)


def test_a_leak_is_warned_of():
    one = Result({"rank": Estimate(3.0, np.nan, np.nan)})
    shown = section(stored(SideBySide.of("spectrum", {"mine": one}), shared=3))
    assert shown.warning.startswith("3 test groups were also used for pre-training")


def test_what_is_no_share_has_neither_percent_nor_verdict():
    one = Result({"rank": Estimate(123.456, np.nan, np.nan)})
    shown = section(stored(SideBySide.of("spectrum", {"mine": one, "untrained": one})))
    assert shown.metrics == [("rank", [("123.5", ""), ("123.5", ""), ("+0", "")])]
    assert (shown.verdict, shown.tone, shown.percent) == ("", "", False)
    assert shown.classes == shown.groups == []


def test_the_classes_of_bags_have_numbers_of_bags():
    made = Result.of_classification([0, 1], np.array([0, 1]), np.arange(2), "ab", unit="bag")
    assert section(stored(SideBySide.of("bags", {"mine": made}))).columns[0] == "bags"


def test_the_classes_have_the_columns_of_the_evaluation():
    rows = [
        {"class": "ship", "objects": 1200, "AP": 0.5},
        {"class": "b", "objects": 3, "AP": np.nan},
    ]
    one = Result({"AP": Estimate(0.5, 0.4, 0.6)}, main="AP", rows=rows)
    shown = section(stored(SideBySide.of("detection", {"mine": one})))
    assert shown.columns == ["objects", "AP"]
    assert shown.classes == [("ship", ["1,200", "50.0"]), ("b", ["3", "-"])]
