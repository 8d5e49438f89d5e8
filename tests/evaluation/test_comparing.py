"""What a comparison refuses to compare, and when it may reuse its results."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ssl_kit import UsageError
from ssl_kit.evaluation import Result
from ssl_kit.evaluation.comparing.arms import Arm
from ssl_kit.evaluation.comparing.cells import compute
from ssl_kit.evaluation.comparing.models import Models
from ssl_kit.evaluation.comparing.plan import Cell, Plan, plan
from ssl_kit.evaluation.comparing.verdicts import summary
from ssl_kit.plugins.evaluations.finetune import FineTune
from ssl_kit.plugins.evaluations.knn import KNN
from ssl_kit.training.layers import merge
from ssl_kit.training.progress import Progress
from ssl_kit.training.start import start

LEAVE_OUT = {"leave_one_out.folds": 2, "leave_one_out.strengths": [1.0]}


@pytest.fixture
def ask(finished_run):
    """Plans a comparison of the tiny run and others on its images, with all labels."""

    def asked(*arms, **options):
        given = {"evaluation": "knn", "budgets": "all", "seeds": 1, **options}
        made = plan([str(finished_run.folder), *arms], **given)
        return replace(made, data=replace(made.data, workers=0))

    return asked


def run_it(asked, out):
    return compute(asked, out, "ssl-kit compare", Progress(quiet=True))


def result(sizes, positive="b"):
    """Right predictions of two classes by turns in groups of some sizes."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.arange(len(groups)) % 2
    predictions, facts = np.eye(2)[labels], {"seconds": 0.0}
    made = Result.of_classification(labels, predictions, groups, "ab", positive=positive, **facts)
    return replace(made, details={**made.details, "labels": 6})


def guesses(seed):
    """Predictions of two classes that are right in part, in 8 groups."""
    rng, labels = np.random.default_rng(seed), np.arange(48) % 2
    right, groups = rng.random(48) < 0.7, np.arange(48) // 6
    made = Result.of_classification(labels, np.where(right, labels, 1 - labels), groups, "ab")
    return replace(made, details={**made.details, "labels": 6, "seconds": 0.0})


@pytest.mark.parametrize("outer", ["", "few_labels", "label_fractions", "search"])
def test_a_label_budget_is_refused_where_labels_of_the_test_part_are_learned_from(ask, outer):
    name, settings = outer or "leave_one_out", {f"{outer}.evaluation": "leave_one_out"}
    settings |= {"search.space.iterations": [10]} if outer == "search" else {}
    with pytest.raises(UsageError, match="--budgets all"):
        ask(evaluation=name, budgets="2,all", settings=settings if outer else LEAVE_OUT)


@pytest.mark.parametrize("outer", ["few_labels", "label_fractions", "search"])
def test_what_holds_labels_back_refuses_an_evaluation_that_learns_from_all(ask, outer):
    settings = {f"{outer}.evaluation": "leave_one_out"}
    settings |= {"search.space.iterations": [10]} if outer == "search" else {}
    with pytest.raises(UsageError, match="no labels can be held back from it"):
        ask(evaluation=outer, settings=settings)


@pytest.mark.parametrize("evaluation", ["bags", "leave_one_out", "within_group"])
def test_scratch_is_refused_beside_what_does_not_predict_each_test_image(ask, evaluation):
    with pytest.raises(UsageError, match="'scratch' is fine-tuned"):
        ask("scratch", evaluation=evaluation)


def test_weights_of_a_run_that_saw_the_test_part_are_refused(ask, finished_run, tmp_path):
    config = finished_run.config.model_dump(mode="json", exclude_none=True)
    asked = merge(config, {"data": {"holdout": 0}, "train": {"epochs": 1}})
    greedy = start([asked], tmp_path / "greedy", Progress(quiet=True))[0]
    with pytest.raises(UsageError, match="6 groups of the test part were pre-trained on"):
        ask("imagenet", imagenet_weights=str(greedy.encoder))


def test_results_of_other_test_samples_are_not_compared(ask, tmp_path, monkeypatch):
    monkeypatch.setattr(KNN, "evaluate", lambda *_: result([1] * 6))
    monkeypatch.setattr(FineTune, "evaluate", lambda *_: result([2] * 6))
    with pytest.raises(UsageError, match=r"other samples.*\(12 in 6 groups, not 6 in 6 groups\)"):
        run_it(ask("scratch"), tmp_path)


def test_results_on_other_test_groups_are_not_reused(ask, tmp_path):
    options = {"evaluation": "leave_one_out", "settings": LEAVE_OUT}
    run_it(ask(**options), tmp_path)
    everything = ask(**options, allow_overlap=True)
    assert everything.folder != ask(**options).folder
    with pytest.raises(UsageError, match=r"test_set: the test part there, 30 images of 30 groups"):
        run_it(everything, tmp_path)


def test_the_test_part_after_another_test_set_is_refused_too(ask, tmp_path):
    options = {"evaluation": "leave_one_out", "settings": LEAVE_OUT}
    run_it(ask(**options, allow_overlap=True), tmp_path)
    with pytest.raises(UsageError, match=r"\([0-9a-f]{8}\) there, the test part now"):
        run_it(ask(**options), tmp_path)


def test_a_comparison_of_an_earlier_version_on_the_test_part_goes_on(ask, tmp_path):
    asked = ask(evaluation="leave_one_out", settings=LEAVE_OUT)
    assert "test_set" not in asked.settings
    run_it(asked, tmp_path)
    stored = json.loads((tmp_path / "settings.json").read_text())
    del stored["test_set"]
    (tmp_path / "settings.json").write_text(json.dumps(stored))
    run_it(asked, tmp_path)


READ_OTHERWISE = {"data.options.guess_nodata": False}


def test_results_of_other_options_of_the_reader_are_not_reused(ask, tmp_path):
    run_it(ask(), tmp_path)
    with pytest.raises(UsageError, match=r"another data.options: \{\} there, \{'guess_nodata': F"):
        run_it(ask(settings=READ_OTHERWISE), tmp_path)
    assert ask(settings=READ_OTHERWISE).folder != ask().folder


def test_an_option_of_the_reader_that_is_the_default_changes_nothing(ask, tmp_path):
    run_it(ask(), tmp_path)
    run_it(ask(settings={"data.options.guess_nodata": True}), tmp_path)


def test_a_folder_of_an_earlier_version_was_read_as_without_set(ask, tmp_path):
    run_it(ask(), tmp_path)
    stored = json.loads((tmp_path / "settings.json").read_text())
    for key in ("channels", "data.reader", "data.options"):
        del stored[key]
    (tmp_path / "settings.json").write_text(json.dumps(stored))
    with pytest.raises(UsageError, match=r"another data.options: \{\} there"):
        run_it(ask(settings=READ_OTHERWISE), tmp_path)
    run_it(ask(), tmp_path)


def test_random_weights_of_other_arguments_are_not_reused(ask, tmp_path, monkeypatch):
    run_it(ask("random-frozen"), tmp_path)
    monkeypatch.setattr(Plan, "arguments", lambda *_: {"global_pool": "avg"})
    with pytest.raises(UsageError, match=r"another encoder.arguments of random-frozen"):
        run_it(ask("random-frozen"), tmp_path)


def test_a_draw_of_labels_that_cannot_be_used_is_named_before_anything_is_computed(
    ask, monkeypatch
):
    drawn = []

    def check(self, data):
        drawn.append(len(data.parts.outside_test))
        if len(drawn) == 5:  # all labels twice, two seeds of the first budget
            raise UsageError("It has one class.")

    monkeypatch.setattr(KNN, "check", check)
    with pytest.raises(UsageError, match=r"Budget 0.5, seed 2: It has one class. Choose a larger"):
        ask(budgets="0.5,2,all", seeds=3)


def test_a_budget_that_buys_all_labels_has_the_intervals_of_all_labels(ask):
    asked = ask("random-frozen", budgets="50,all", seeds=3)
    run, random = (arm.name for arm in asked.arms)
    of_run, *of_random = (guesses(seed) for seed in range(4))
    results = {(random, budget, s): of_random[s] for budget in ("50", "all") for s in range(3)}
    results |= {(run, "50", seed): of_run for seed in range(3)} | {(run, "all", 0): of_run}
    values = summary(asked, results, Models(asked), "ssl-kit compare")
    for key in ("results", "differences"):
        bought, every = ([r for r in values[key] if r["budget"] == b] for b in ("50", "all"))
        for row, other in zip(bought, every, strict=True):
            assert row["metrics"]["accuracy"] == pytest.approx(other["metrics"]["accuracy"])
            assert row["seeds_counted"] == other["seeds_counted"]


def test_arms_whose_names_differ_in_special_characters_have_their_own_cells():
    names = ["lr=1", "lr 1", "lr_1", ".", "..", "../a"]
    files = [Cell(Arm(name, "run"), "all", 0).file for name in names]
    assert len({file.parent for file in files}) == len(names)
    assert all(len(file.parts) == 3 and ".." not in file.parts for file in files)
    assert files[2].as_posix() == "cells/lr_1/all-0.npz"


def test_the_positive_class_is_that_of_the_results(ask):
    asked = ask()
    of_arm = {(asked.arms[0].name, "all", 0): result([1] * 6, positive="a")}
    assert summary(asked, of_arm, Models(asked), "ssl-kit compare")["data"]["positive"] == "a"


@pytest.mark.parametrize(
    ("arms", "options", "said"),
    [
        (("scratch",), {"finetune.epochs": 1}, ""),
        (
            ("scratch",),
            {"finetune.freeze": "all", "finetune.epochs": 1},
            "finetune.freeze changes nothing, because of these arms only scratch is fine-tuned, "
            "and always as a whole.",
        ),
        (
            ("random-frozen",),
            {"finetune.epochs": 1, "finetune.lr": 0.1, "finetune.positive": ""},
            "finetune.epochs and finetune.lr change nothing, because none of these arms is put to "
            "'finetune'.",
        ),
    ],
)
def test_options_of_an_evaluation_that_no_arm_is_put_to_are_said(ask, caplog, arms, options, said):
    ask(*arms, settings=options)
    assert [text for text in caplog.messages if "nothing, because" in text] == [said] * bool(said)
