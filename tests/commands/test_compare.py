"""Comparisons: fair arms, cells that are computed once, honest words."""

import json
import re
import shutil
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.torch import save_file
from scipy import stats

from ssl_kit import DataError, RunError, UsageError
from ssl_kit.cli import main
from ssl_kit.evaluation import Result
from ssl_kit.evaluation.comparing.arms import Arm
from ssl_kit.evaluation.comparing.cells import compute
from ssl_kit.evaluation.comparing.chosen_arms import architecture_of, parse_arms
from ssl_kit.evaluation.comparing.models import Models
from ssl_kit.evaluation.comparing.plan import parse_budgets, plan
from ssl_kit.evaluation.comparing.verdicts import summary
from ssl_kit.nn import create_encoder
from ssl_kit.plugins.encoders.timm import TimmEncoder
from ssl_kit.plugins.evaluations.finetune import FineTune
from ssl_kit.plugins.evaluations.knn import KNN
from ssl_kit.reports.comparison import table
from ssl_kit.training.intervals import Jackknife
from ssl_kit.training.progress import Progress
from ssl_kit.training.start import start
from ssl_kit.training.work import Work

FAST = {"finetune.epochs": 1, "finetune.batch_size": 8}


@pytest.fixture
def ask(finished_run):
    """Plans a comparison of the tiny run and others on its images."""

    def asked(*arms, **options):
        given = {
            "evaluation": "knn",
            "budgets": "2,all",
            "seeds": 2,
            "settings": FAST,
            **options,
        }
        made = plan([str(finished_run.folder), *arms], **given)
        return replace(made, data=replace(made.data, workers=0))

    return asked


@pytest.fixture
def counted(monkeypatch):
    """The evaluations that are made, by the name of the model."""
    made = []
    for kind in (KNN, FineTune):

        def evaluate(self, model, data, kind=kind, original=kind.evaluate):
            made.append((kind.__name__, model.name, len(data.parts.train) + len(data.parts.val)))
            return original(self, model, data)

        monkeypatch.setattr(kind, "evaluate", evaluate)
    return made


def run_it(asked, out):
    return compute(asked, out, "ssl-kit compare", Progress(quiet=True))


def test_what_was_planned_stays_as_it_is(ask):
    asked = ask()
    for thing, name in ((asked, "seeds"), (asked.arms[0], "shared")):
        with pytest.raises(FrozenInstanceError):
            setattr(thing, name, 1)


def test_each_arm_budget_and_seed_is_one_cell(ask, counted, tmp_path):
    values = run_it(ask("scratch", "random-frozen"), tmp_path)
    tiny = [("KNN", "tiny", 6), ("KNN", "tiny", 24), ("KNN", "tiny", 6)]  # "all" has no seed
    scratch = [("FineTune", "scratch", n) for n in (6, 24, 6, 24)]
    random = [("KNN", "random-frozen", n) for n in (6, 24, 6, 24)]
    assert counted == tiny + scratch + random
    assert [row["repeats"] for row in values["results"]] == [2, 2, 2, 1, 2, 2]


def test_the_result_under_way_is_shown_with_the_time_that_is_left(ask, counted, tmp_path):
    progress, parts, begin = Progress(quiet=True), [], Work.begin
    said = []
    progress.say = said.append
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Work, "begin", lambda self, *part: parts.append(part) or begin(self, *part))
        compute(ask("random-frozen"), tmp_path, "ssl-kit compare", progress)
    assert parts[0] == ("tiny, budget 2, seed 0", None)
    assert parts[-1][0] == "random-frozen, budget all, seed 1"
    assert all(expected >= 0 for _, expected in parts[1:])
    assert said[0] == "7 of 7 results are still to be computed."
    assert said[-1].startswith("7/7  random-frozen, budget all, seed 1: accuracy")


def test_nothing_is_computed_twice(ask, counted, tmp_path):
    first = run_it(ask("random-frozen"), tmp_path)
    made = len(counted)
    second = run_it(ask("random-frozen"), tmp_path)
    assert len(counted) == made
    assert {**second, "time": ""} == {**first, "time": ""}


def test_an_interrupted_comparison_goes_on(ask, counted, tmp_path, monkeypatch):
    whole = run_it(ask(), tmp_path / "whole")
    original, counted[:] = KNN.evaluate, []

    def tires(self, model, data):
        if len(counted) == 2:
            raise KeyboardInterrupt
        return original(self, model, data)

    monkeypatch.setattr(KNN, "evaluate", tires)
    with pytest.raises(KeyboardInterrupt):
        run_it(ask(), tmp_path / "cut")
    assert not (tmp_path / "cut" / "compare.json").exists()
    monkeypatch.setattr(KNN, "evaluate", original)
    values = run_it(ask(), tmp_path / "cut")
    assert len(counted) == 3
    metrics = [[row["metrics"] for row in found["results"]] for found in (whole, values)]
    assert metrics[0] == metrics[1]


def test_arms_budgets_and_seeds_may_be_added(ask, counted, tmp_path):
    run_it(ask(budgets="2", seeds=1), tmp_path)
    run_it(ask("random-frozen", budgets="2,3", seeds=2), tmp_path)
    assert [name for _, name, _ in counted] == ["tiny"] * 4 + ["random-frozen"] * 4


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"settings": {**FAST, "knn.k": 3}}, "knn.k: 20 there, 3 now"),
        ({"image_size": 40}, "image_size: 32 there, 40 now"),
        ({"holdout": 0.3, "allow_overlap": True}, "holdout: 0.2 there, 0.3 now"),
        ({"evaluation": "linear"}, "evaluation: knn there, linear now"),
    ],
)
def test_other_settings_are_refused(ask, tmp_path, changed, named):
    run_it(ask(budgets="2", seeds=1), tmp_path)
    with pytest.raises(UsageError, match=named):
        run_it(ask(budgets="2", seeds=1, **changed), tmp_path)


def test_other_weights_of_a_run_are_refused(ask, finished_run, tmp_path):
    asked = ask(budgets="2", seeds=1)
    run_it(asked, tmp_path / "out")
    copy = shutil.copytree(finished_run.folder, tmp_path / "tiny")
    (copy / "encoder.safetensors").write_bytes(finished_run.best.read_bytes() + b" ")
    asked = replace(asked, arms=tuple(parse_arms([str(copy)], "")))
    with pytest.raises(UsageError, match="another arm tiny"):
        run_it(asked, tmp_path / "out")


def test_a_damaged_cell_is_named(ask, tmp_path):
    run_it(ask(budgets="2", seeds=1), tmp_path)
    (tmp_path / "cells" / "tiny" / "2-0.npz").write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match=r"2-0\.npz.*Delete it"):
        run_it(ask(budgets="2", seeds=1), tmp_path)


def test_larger_budgets_hold_smaller_ones(ask):
    asked = ask(budgets="2,4,all")
    for seed in range(3):
        few, more, every = (
            set(np.concatenate([d.parts.train, d.parts.val]).tolist())
            for d in (asked.limited(budget, seed) for budget in asked.budgets)
        )
        assert few < more < every


def test_the_test_part_is_the_same_in_every_cell(ask):
    asked = ask()
    parts = [asked.limited(b, s).parts.test.tolist() for b in asked.budgets for s in range(3)]
    assert all(part == parts[0] for part in parts)


def test_scratch_is_fine_tuned_as_a_whole_whatever_is_asked(ask):
    options = {**FAST, "finetune.freeze": "last:1", "finetune.layer_decay": 0.5}
    for evaluation in ("knn", "finetune"):
        asked = ask("scratch", evaluation=evaluation, settings=options)
        run, scratch = (arm.evaluation(evaluation, asked.chosen, 1) for arm in asked.arms)
        assert isinstance(scratch, FineTune)
        assert (scratch.config.freeze, scratch.config.layer_decay) == ("none", 1.0)
        assert (scratch.config.seed, scratch.config.epochs) == (1, 1)
    assert (run.config.freeze, run.config.layer_decay, run.config.seed) == ("last:1", 0.5, 1)


def test_scratch_trains_four_times_as_long_where_no_epochs_are_set(ask):
    asked = ask("scratch", settings={"finetune.images": 100})
    assert asked.arms[1].evaluation("knn", asked.chosen, 0).config.images == 400


def test_hand_crafted_descriptors_are_added_and_probed(ask, tmp_path):
    asked = ask(budgets="2", seeds=1, controls=True)
    assert [arm.name for arm in asked.arms] == ["tiny", "handcrafted"]
    values = run_it(asked, tmp_path)
    assert values["arms"][1]["weights"] == "descriptors without weights"
    assert "hand-crafted descriptors" in table(values)
    asked = ask("handcrafted", evaluation="finetune", controls=True)
    assert asked.arms[1].evaluation_name("finetune") == "linear"
    assert len(asked.arms) == 2


@pytest.fixture
def continued(finished_run, tmp_path):
    """A run that began from weights in a file."""
    file = tmp_path / "weights.safetensors"
    save_file(create_encoder("test_resnet", 3, 32).body.state_dict(), file)
    copy = shutil.copytree(finished_run.folder, tmp_path / "continued")
    config = copy / "config.toml"
    config.write_text(config.read_text().replace('init = "scratch"', f'init = "{file}"'))
    return str(copy), file


def test_the_start_of_a_run_is_added_unless_it_is_an_arm(continued, tmp_path):
    run, file = continued
    asked = plan([run], evaluation="knn", budgets="2", seeds=1, controls=True)
    asked = replace(asked, data=replace(asked.data, workers=0))
    assert [arm.name for arm in asked.arms] == ["continued", "start", "handcrafted"]
    assert "90 of 90 weights match" in run_it(asked, tmp_path / "out")["arms"][1]["weights"]
    same = plan([run, "imagenet"], imagenet_weights=str(file), evaluation="knn", controls=True)
    assert [arm.name for arm in same.arms] == ["continued", "imagenet", "handcrafted"]


def test_weights_of_another_architecture_are_refused_before_anything_is_computed(
    finished_run, tmp_path, counted
):
    file, out = tmp_path / "test_vit.safetensors", tmp_path / "out"
    save_file(create_encoder("test_vit", 3, 32).body.state_dict(), file)
    asked = plan([str(finished_run.folder), "imagenet"], imagenet_weights=str(file))
    with pytest.raises(RunError, match="give --encoder test_vit"):
        run_it(asked, out)
    assert not counted
    assert not (out / "settings.json").exists()


def test_a_start_that_is_gone_is_not_compared(continued, caplog):
    run, file = continued
    file.unlink()
    asked = plan([run], evaluation="knn", controls=True)
    assert [arm.name for arm in asked.arms] == ["continued", "handcrafted"]
    assert "The start is not compared." in caplog.text
    caplog.clear()
    with pytest.raises(UsageError, match="one architecture"):
        plan([run], evaluation="knn", controls=True, encoder="resnet18")
    assert not caplog.text


def test_a_run_from_random_weights_has_no_start(ask):
    with pytest.raises(UsageError, match="Compare with random-frozen"):
        ask("start")


def test_arms_judged_by_different_metrics_are_refused(ask, tmp_path):
    with pytest.raises(UsageError, match="'scratch' is judged by accuracy, the others by map"):
        run_it(ask("scratch", evaluation="retrieval", budgets="2", seeds=1), tmp_path)


def test_random_frozen_is_frozen_under_fine_tuning_too(ask):
    asked = ask("random-frozen", evaluation="finetune")
    assert asked.arms[1].evaluation("finetune", asked.chosen, 0).config.freeze == "all"


def test_imagenet_without_weights_says_so(ask, tmp_path, monkeypatch):
    def nowhere(self):
        raise RunError("timm's ImageNet weights cannot be had here")

    monkeypatch.setattr(TimmEncoder, "imagenet", nowhere)
    values = run_it(ask("imagenet", budgets="2"), tmp_path)
    assert values["arms"][1]["unavailable"] == "timm's ImageNet weights cannot be had here"
    assert {row["arm"] for row in values["results"]} == {"tiny"}
    assert values["differences"] == []
    assert "'imagenet' is not compared: timm's ImageNet weights cannot be had" in table(values)
    assert not (tmp_path / "cells" / "imagenet").exists()


def test_imagenet_weights_from_a_file(ask, tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file(create_encoder("test_resnet", 3, 32).body.state_dict(), file)
    asked = ask("imagenet", budgets="2", seeds=1, imagenet_weights=str(file))
    arm = run_it(asked, tmp_path / "out")["arms"][1]
    assert arm["source"] == str(file)
    assert "90 of 90 weights match" in arm["weights"]


def test_weights_that_no_arm_takes_are_refused(ask):
    with pytest.raises(UsageError, match="for the arm imagenet, which is not compared"):
        ask("scratch", imagenet_weights="weights.safetensors")


def test_a_wrong_weights_file_is_an_error(ask, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"no")
    asked = ask("imagenet", budgets="2", imagenet_weights=str(tmp_path / "w.safetensors"))
    with pytest.raises(RunError, match="no readable weights file"):
        run_it(asked, tmp_path / "out")


@pytest.fixture(scope="module")
def greedy(shared_images, tmp_path_factory):
    """A run that was trained on all images."""
    settings = {
        "domain": "natural",
        "data": {"path": str(shared_images), "holdout": 0.0},
        "encoder": {"name": "test_resnet", "image_size": 32},
        "train": {"epochs": 1, "batch_size": 8, "workers": 0, "precision": "fp32"},
    }
    return start([settings], tmp_path_factory.mktemp("runs") / "greedy", Progress(quiet=True))[0]


def test_an_overlap_is_refused(greedy):
    with pytest.raises(UsageError, match="6 groups of the test part were pre-trained on"):
        plan([str(greedy.folder)], holdout=0.2)


def test_an_allowed_overlap_is_told(greedy, tmp_path):
    asked = plan(
        [str(greedy.folder)], holdout=0.2, allow_overlap=True, evaluation="knn", budgets="2"
    )
    asked = replace(asked, data=replace(asked.data, workers=0))
    values = run_it(asked, tmp_path)
    assert values["leak"]["shared"] == {"greedy": 6}
    assert values["arms"][0]["shared_test_groups"] == 6
    warning = "WARNING: Pre-training used groups of the test set: 6 test groups by 'greedy'"
    assert warning in table(values)


def made_up(shift, seeds=3, groups=50, start=0):
    """Results of `seeds` seeds with made-up scores of groups."""
    shared, results = np.random.default_rng(1).normal(0, 0.35, groups), []
    for seed in range(seeds):
        own = np.random.default_rng(seed + start).normal(0, 0.07, groups)
        scores = shared + own - (shared + own).mean() + 0.7 + shift + 0.01 * seed
        without = (scores.sum() - scores) / (groups - 1)
        kept = Jackknife(np.r_[scores.mean(), without][None], np.ones(groups), (-9, 9))
        facts = {"labels": 6, "seconds": 0.0}
        metrics, kept = {"accuracy": kept.estimate()}, {"accuracy": kept}
        results.append(Result(metrics, kept, "accuracy", by_group=scores, details=facts))
    return results


def judged(ask, improving=(), **arms):
    asked = ask(budgets="2", seeds=3)
    asked = replace(asked, arms=tuple(Arm(name, "random-frozen") for name in arms))
    results = {
        (name, "2", seed): result
        for name, found in arms.items()
        for seed, result in enumerate(found)
    }
    for key in [key for key in results if key[0] in improving]:
        facts = {**results[key].details, "epochs": 10, "of_epochs": 10, "improving": True}
        results[key] = replace(results[key], details=facts)
    return summary(asked, results, Models(asked), "ssl-kit compare")


@pytest.mark.parametrize(
    ("shift", "words"),
    [(0.1, "helps"), (-0.1, "hurts"), (0.0, "no evidence"), (0.01, "no evidence")],
)
def test_verdicts(ask, shift, words):
    found = judged(ask, ours=made_up(shift), theirs=made_up(0.0, start=9))["differences"][0]
    assert (found["arm"], found["against"]) == ("ours", "theirs")
    assert found["verdict"] == words
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(shift)


def test_the_interval_is_that_of_the_differences_of_groups_and_seeds(ask):
    ours, theirs = made_up(0.03), made_up(0.0, start=9)
    found = judged(ask, ours=ours, theirs=theirs)["differences"][0]["metrics"]["accuracy"]
    gains = [a.by_group - b.by_group for a, b in zip(ours, theirs, strict=True)]
    alone = np.mean(gains, axis=0)  # the seeds do not differ in their gain here
    half = stats.t.ppf(0.975, 49) * alone.std(ddof=1) / np.sqrt(50)
    assert found["value"] == pytest.approx(alone.mean())
    assert found["high"] - found["low"] == pytest.approx(2 * half, rel=0.02)


def test_a_verdict_on_an_arm_that_was_still_improving_is_marked(ask):
    both = {"ours": made_up(0.5), "theirs": made_up(0.0, start=9)}
    text = table(judged(ask, improving=["theirs"], **both))
    assert re.search(r"helps \*$", text, re.M)
    assert "'theirs' was still improving at its last epoch (10 epochs with 2 labels per" in text
    assert "--set finetune.epochs=40" in text
    assert "improving" not in table(judged(ask, **both))


@pytest.mark.parametrize("groups", [5, 6])
def test_below_six_groups_there_is_no_verdict(ask, groups):
    theirs = made_up(0, groups=groups, start=9)
    values = judged(ask, ours=made_up(0.5, groups=groups), theirs=theirs)
    (found,) = values["differences"]
    assert found["verdict"] == ("helps" if groups == 6 else "no verdict")
    assert (found["p_value"] is None) == (groups == 5)
    assert ("No verdict: 5 test groups, six are needed." in table(values)) == (groups == 5)


def test_pairing_removes_what_arms_have_in_common(ask):
    values = judged(ask, ours=made_up(0.03), theirs=made_up(0.0, start=9))
    gain = values["differences"][0]["metrics"]["accuracy"]
    alone = values["results"][0]["metrics"]["accuracy"]
    assert gain["high"] - gain["low"] < (alone["high"] - alone["low"]) / 3


def test_every_pair_at_every_budget_is_judged(ask, tmp_path):
    values = run_it(ask("random-frozen"), tmp_path)
    pairs = [(d["arm"], d["against"], d["budget"]) for d in values["differences"]]
    assert pairs == [("tiny", "random-frozen", "2"), ("tiny", "random-frozen", "all")]


def test_compare_json_is_plain_json_with_everything_a_report_needs(ask, tmp_path):
    run_it(ask("random-frozen", budgets="2"), tmp_path)

    def no_constant(name):
        raise AssertionError(f"{name} is no JSON")

    text = (tmp_path / "compare.json").read_text()
    values = json.loads(text, parse_constant=no_constant)
    assert set(values) == {
        "format", "command", "time", "versions", "hardware", "settings", "data", "encoder",
        "image_size", "evaluation", "budget_unit", "main", "unit", "seeds", "budgets", "arms",
        "results", "differences", "leak",
    }  # fmt: skip
    assert values["budgets"] == [{"name": "2", "labels": [6, 6]}]
    assert values["data"]["test"] == 6
    row = values["results"][0]
    assert set(row) == {"arm", "budget", "repeats", "metrics", "classes", "confusion", "by_seed",
                        "seeds_counted", "constant", "epochs", "of_epochs", "improving",
                        "seconds"}  # fmt: skip
    assert np.sum(row["confusion"]) == 2 * 6
    assert np.mean(row["by_seed"]["accuracy"]) == pytest.approx(row["metrics"]["accuracy"]["value"])
    assert values["leak"] == {"shared": {}, "earlier": []}


@pytest.mark.parametrize(
    ("text", "budgets"),
    [
        ("10,50,all", ("10", "50", "all")),
        ("0.01, 0.1,1.0", ("0.01", "0.1", "all")),
        ("5,5", ("5",)),
    ],
)
def test_budgets(text, budgets):
    assert parse_budgets(text) == budgets


@pytest.mark.parametrize("text", ["", "0", "ten", "2.5", "-1", "0.0", "10,,50"])
def test_what_is_no_budget(text):
    with pytest.raises(UsageError, match="A label budget is"):
        parse_budgets(text)


def test_arms_of_the_same_name_go_by_their_paths(finished_run, tmp_path):
    copy = shutil.copytree(finished_run.folder, tmp_path / "other" / "tiny")
    arms = parse_arms([str(finished_run.folder), str(copy), "scratch"], "")
    assert len({arm.name for arm in arms}) == 3


@pytest.mark.parametrize("arms", [["scratch", "scratch"], ["nowhere"], ["scrach"]])
def test_what_is_no_arm(arms):
    with pytest.raises(UsageError, match="An arm is"):
        parse_arms(arms, "")


def test_arms_of_different_architectures_are_refused(finished_run):
    arms = parse_arms([str(finished_run.folder)], "")
    with pytest.raises(UsageError, match="one architecture, not resnet18, test_resnet"):
        architecture_of(arms, "resnet18", 0)
    assert architecture_of(arms, "", 0) == ("test_resnet", 32)
    assert architecture_of([], "", 0) == ("resnet18", 64)


def test_encoders_for_images_of_two_sizes_need_one(finished_run, tmp_path):
    copy = shutil.copytree(finished_run.folder, tmp_path / "larger")
    config = (copy / "config.toml").read_text().replace("image_size = 32", "image_size = 48")
    (copy / "config.toml").write_text(config)
    arms = parse_arms([str(finished_run.folder), str(copy)], "")
    with pytest.raises(UsageError, match=r"images of 32, 48 px\. Give --image-size 48"):
        architecture_of(arms, "", 0)
    assert architecture_of(arms, "", 40) == ("test_resnet", 40)


def test_a_stray_option_is_an_error(ask):
    with pytest.raises(UsageError, match="'linear' is not among the evaluations"):
        ask(settings={"linear.iterations": 3})


def test_the_command_line_on_real_digits(tmp_path):
    args = [
        "compare",
        "scratch",
        "random-frozen",
        "--domain",
        "natural",
        "--encoder",
        "test_resnet",
    ]
    args += [
        "--image-size",
        "16",
        "--evaluation",
        "knn",
        "--budgets",
        "4",
        "--seeds",
        "1",
        "--quiet",
    ]
    args += ["--set", "finetune.epochs=1", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, args)
    assert done.exit_code == 0, done.output
    assert "accuracy in percent, mean of 1 seed," in done.stdout
    assert "scratch against random-frozen" in done.stdout
    again = CliRunner().invoke(main, [*args, "--json"])
    values = json.loads(again.stdout)
    assert values["data"]["classes"] == list("0123456789")
    assert values["budgets"] == [{"name": "4", "labels": [40]}]


def test_a_misspelled_arm_is_told_from_a_run():
    with pytest.raises(UsageError, match=r"'imagnet' is none. Did you mean 'imagenet'\?"):
        parse_arms(["imagnet"], "")
