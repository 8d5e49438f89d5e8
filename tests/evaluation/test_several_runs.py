"""A folder of runs that differ in their seed is one arm of a comparison."""

import shutil

import pytest

from ssl_kit import UsageError, compare
from ssl_kit.evaluation.comparing.plan import plan
from ssl_kit.reports.comparison import comparison_notes
from ssl_kit.training.progress import Progress
from ssl_kit.training.start import start


@pytest.fixture(scope="module")
def folder(finished_run, tmp_path_factory):
    root = tmp_path_factory.mktemp("several") / "simclr"
    settings = finished_run.config.model_dump(mode="json")
    for seed in (1, 2):
        start([settings | {"seed": seed}], root / str(seed), Progress(quiet=True))
    return root


def test_each_seed_evaluates_another_run(folder, tmp_path):
    asked = {"evaluation": "knn", "budgets": "all", "controls": False}
    both = compare(str(folder), seeds=2, out=tmp_path / "both", **asked)
    row = both["results"][0]
    alone = [
        compare(str(folder / seed), seeds=1, out=tmp_path / seed, **asked)["results"][0]
        for seed in ("1", "2")
    ]
    for name, values in row["by_seed"].items():
        assert values == [each["metrics"][name]["value"] for each in alone]
    assert row["repeats"] == 2
    assert both["arms"][0]["weights"].startswith("2 runs of the seeds 1, 2; of the latest: ")
    assert both["arms"][0]["seeds"] == [1, 2]


def test_the_notes_name_the_arms_that_were_pretrained_once(folder, finished_run, tmp_path):
    asked = {"evaluation": "knn", "budgets": "all", "controls": False, "out": tmp_path}
    both = compare(str(folder), str(finished_run.folder), seeds=2, **asked)
    of_them = [note for note in comparison_notes(both) if "one pre-training" in note]
    name = both["arms"][1]["name"]
    assert of_them == [f"'{name}' is one pre-training: intervals do not cover other seeds of it."]


def test_the_number_of_seeds_is_that_of_the_runs(folder):
    with pytest.raises(UsageError, match=r"'simclr' has 2 runs .* Give --seeds 2, so that each"):
        plan([str(folder)], seeds=3)


@pytest.fixture
def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "runs")


def test_the_same_seed_twice_is_refused(copied):
    shutil.copytree(copied / "1", copied / "3")
    with pytest.raises(UsageError, match=r"have the seed 1\. Leave one of them out"):
        plan([str(copied)])


def test_runs_that_differ_in_more_are_refused(copied):
    file = copied / "2" / "config.toml"
    file.write_text(file.read_text().replace("hidden_dim = 32", "hidden_dim = 64"))
    with pytest.raises(UsageError, match=r"in nothing but their seed: objective\.hidden_dim diff"):
        plan([str(copied)])


def test_a_folder_with_one_run_names_it(copied):
    shutil.rmtree(copied / "2")
    with pytest.raises(UsageError, match=r"is no run, but has one\. Give '.*runs/1'\."):
        plan([str(copied)])
