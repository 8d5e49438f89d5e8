"""The search for settings: its plan, its order, what it reads, and what it concludes."""

import json
import shutil
import signal
from dataclasses import dataclass, replace

import numpy as np
import pytest

import ssl_kit
from ssl_kit import DataError, RunError, UsageError
from ssl_kit.core.discovery import domains
from ssl_kit.data.splits import split
from ssl_kit.evaluation.budgets import draw_labels
from ssl_kit.evaluation.pretrained import embed, from_init
from ssl_kit.evaluation.requests import run_of
from ssl_kit.evaluation.result import Result
from ssl_kit.evaluation.tuning import run as running
from ssl_kit.evaluation.tuning.choices import (
    Images,
    _sizes,
    _why_no_labels,
    choices,
    fewer_objectives,
    open_images_of,
    searched,
    warnings_of_seen,
)
from ssl_kit.evaluation.tuning.judge import LabeledJudge, LabelFreeJudge
from ssl_kit.evaluation.tuning.opening import images_and_judges, refuse_other_images, tell
from ssl_kit.evaluation.tuning.outcome import Outcome, Start
from ssl_kit.evaluation.tuning.plan import (
    Clock,
    Cost,
    make_plan,
    refuse_if_too_short,
    seconds_per_step,
    sizes_with_room,
)
from ssl_kit.evaluation.tuning.request import Request, refuse_beside_resume
from ssl_kit.evaluation.tuning.run import search
from ssl_kit.evaluation.tuning.search import Search
from ssl_kit.evaluation.tuning.space import Space
from ssl_kit.evaluation.tuning.trials import (
    Measured,
    Record,
    Trial,
    as_trial,
    read_records,
    train_and_judge,
)
from ssl_kit.reports.html.page import write_report
from ssl_kit.reports.tuning import tuned
from ssl_kit.training.engine import stop_signals
from ssl_kit.training.intervals import Estimate
from ssl_kit.training.layers import merge
from ssl_kit.training.probe import probe_predict
from ssl_kit.training.progress import Progress
from ssl_kit.training.run import Run
from ssl_kit.training.setup import resolve

ASKED = {"domain": "natural", "encoder": {"name": "test_resnet", "image_size": 64}}
CHOICES = {
    "objective.name": ("simclr", "byol"),
    "encoder.init": ("scratch",),
    "views.min_area": (None, 0.1, 0.4, 0.7),
    "encoder.image_size": (64, 96),
}


@dataclass
class Bench:
    """Stands in for training: takes time of a clock of its own, and prefers a low learning rate."""

    now: float = 0.0
    slower: float = 1.0
    stops_at: int = -1
    fails: tuple[str, ...] = ()
    calls: int = 0

    def __call__(self, config, folder):
        if self.calls == self.stops_at:
            raise KeyboardInterrupt
        self.calls += 1
        seconds = min(self.slower * round(config.train.epochs), config.train.max_time)
        self.now += seconds + 1
        if config.objective.name in self.fails:
            raise RunError("Stopped because the features collapsed.")
        value = 0.8 - 0.02 * abs(np.log10(config.optimizer.lr / 1e-4)) - 0.001 * (config.seed % 2)
        return Measured(result(value), 100, seconds)


def result(value):
    return Result({"accuracy": Estimate(value, np.nan, np.nan)})


def searching(out, bench, budget=300.0):
    out.mkdir(exist_ok=True)
    records = read_records(out)
    clock = Clock(max((r.elapsed for r in records.values()), default=0.0), lambda: bench.now)
    plan = make_plan(budget, 0.0, Cost(1.0, 1.0), 1)
    space = Space.around(ASKED, CHOICES)
    return Search(out, space, plan, bench, clock, Progress(quiet=True), "accuracy", records=records)


def test_a_longer_budget_has_more_rungs_and_is_used_up():
    plans = [make_plan(budget, 0, Cost(100, 5), 500) for budget in (200, 900, 7200)]
    assert [plan.candidates for plan in plans] == [(6,), (12, 4), (36, 12, 4)]
    for plan in plans:
        finals = 2 * plan.seeds * (plan.seconds[-1] + 5)
        assert plan.ends[-1] + finals == pytest.approx(0.9 * plan.budget)
    assert plans[2].seconds[1] == pytest.approx(3 * plans[2].seconds[0])
    assert plans[2].epochs[2] == pytest.approx(plans[2].seconds[2] * 100 / 500, rel=0.01)


def test_runs_of_few_steps_are_no_first_rung():
    assert make_plan(900, 0, Cost(100, 5, step=0.2), 500).rungs == 2
    assert make_plan(900, 0, Cost(100, 5, step=2), 500).rungs == 1
    assert make_plan(900, 0, Cost(100, 5, step=20), 500).rungs == 1  # but nothing is refused


def test_a_budget_that_is_too_short_is_refused_with_what_is_needed():
    said = (
        r"10 runs of 5 s at least, and 5 s beside the steps of each, take 1:51 with what comes "
        r"before and a reserve. Give --budget 3m "
    )
    with pytest.raises(UsageError, match=said):
        make_plan(60, 0, Cost(100, 5), 500)
    make_plan(180, 0, Cost(100, 5), 500)


def test_slow_first_steps_and_the_measurement_after_the_last_do_not_count_as_speed():
    assert seconds_per_step([5, 8, 9, 10, 11, 15]) == 1
    assert seconds_per_step([5]) == 0


@pytest.mark.parametrize(("spent", "overhead"), [(50, 0), (0, 3)])
def test_a_budget_is_refused_as_soon_as_it_cannot_be_enough(spent, overhead):
    refuse_if_too_short(60, spent / 2, Cost(0, overhead / 2))
    with pytest.raises(UsageError, match="--budget of 1:00 is too short"):
        refuse_if_too_short(60, spent, Cost(0, overhead))


def test_image_sizes_without_room_in_memory_are_left_out():
    assert sizes_with_room((64, 96, 128), 2 * 10**9, 10**10) == (64, 96)
    assert sizes_with_room((64, 96), 0, 1) == (64, 96)
    assert sizes_with_room((64,), 10, 1) == (64,)


def test_a_run_has_at_least_a_step():
    assert make_plan(200, 0, Cost(100, 5, 9), 500).seconds[0] > 9
    with pytest.raises(UsageError, match="10 runs of 20 s at least"):
        make_plan(200, 0, Cost(100, 5, 20), 500)


def test_the_default_is_a_candidate_that_changes_nothing():
    space = Space.around(ASKED, CHOICES)
    assert space.config(space.default) == resolve(ASKED)
    changed = space.config({**space.default, "optimizer.lr": 0.25, "views.min_area": 0.4})
    assert changed.optimizer.lr == resolve(ASKED).optimizer.lr / 4
    assert changed.views.min_area == 0.4


def test_what_the_user_sets_is_not_searched():
    asked = {**ASKED, "objective": {"temperature": 0.1}, "optimizer": {"lr": 1e-3}}
    keys = {dimension.key for dimension in Space.around(asked, CHOICES).dimensions}
    assert keys == {"views.min_area", "optimizer.weight_decay"}


@pytest.mark.parametrize("slower", [0.5, 10])
def test_the_budget_is_kept_and_the_default_is_in_every_stage(tmp_path, slower):
    bench = Bench(slower=slower)
    search = searching(tmp_path / "out", bench)
    finalists = search.run()
    assert 0.5 * 300 < bench.now <= 300
    assert finalists[0] == 0
    stages = range(search.plan.rungs + 1)
    assert all(any(t.number == 0 and t.stage == s for t in search.records) for s in stages)
    finals = {t.seed for t in search.records if t.stage == search.plan.rungs}
    assert finals >= {1}
    assert 0 not in finals  # the rungs had that seed


def test_a_longer_rung_has_the_default_and_the_best_others_as_many_as_planned(tmp_path):
    search = searching(tmp_path / "out", Bench())
    search.run()
    values = {t.number: r.value for t, r in search.records.items() if t.stage == 0 and t.number}
    best = sorted(values, key=values.get)[1 - search.plan.candidates[1] :]
    assert {t.number for t in search.records if t.stage == 1} == {0, *best}


def test_the_first_candidates_change_what_is_hinted_and_others_stay_near_the_default(tmp_path):
    search = searching(tmp_path / "out", Bench())
    search.hints = [{"views.min_area": 0.7}]
    search.run()
    changed = [
        {key for key, value in search.candidate(n).items() if value != search.space.default[key]}
        for n in range(4)
    ]
    assert changed[:2] == [set(), {"views.min_area"}]
    assert search.candidate(2)["objective.name"] == "byol"
    assert all(len(keys) < len(search.space.dimensions) for keys in changed)


def test_a_trial_in_which_the_process_was_killed_twice_is_not_begun_again(tmp_path):
    trials = tmp_path / "out" / "trials"
    trials.mkdir(parents=True)
    (trials / "001-0-0.begun").write_bytes(b"xx")
    (trials / "002-0-0.begun").write_bytes(b"x")
    search = searching(tmp_path / "out", Bench())
    search.run()
    failed = [r for r in search.records.values() if r.reason]
    assert [r.trial.number for r in failed] == [1]
    assert "killed 2 times during this run, perhaps because memory was full" in failed[0].reason
    assert not [*trials.glob("*.begun")]


def test_an_interrupted_search_ends_as_an_undisturbed_one(tmp_path):
    undisturbed = searching(tmp_path / "a", Bench(), 60)
    undisturbed.run()
    with pytest.raises(KeyboardInterrupt, match=r"Interrupted after 3 runs\. Go on with"):
        searching(tmp_path / "b", Bench(stops_at=3), 60).run()
    first = searching(tmp_path / "b", Bench(stops_at=4), 60)
    with pytest.raises(KeyboardInterrupt):
        first.run()
    last = searching(tmp_path / "b", Bench(), 60)
    last.run()
    assert last.records == undisturbed.records


def test_a_candidate_that_fails_is_recorded_and_the_search_goes_on(tmp_path):
    search = searching(tmp_path / "out", Bench(fails=("byol",)))
    finalists = search.run()
    failed = [r for r in search.records.values() if r.reason]
    assert failed
    assert {r.reason for r in failed} == {"Stopped because the features collapsed."}
    assert not {r.trial.number for r in failed} & set(finalists)


def test_a_search_without_any_result_says_why(tmp_path):
    with pytest.raises(RunError, match=r"No candidate could be trained.*features collapsed"):
        searching(tmp_path / "out", Bench(fails=("simclr", "byol"))).run()


class Guarded:
    """Makes a dataset fail where a position is read that must not be."""

    def __init__(self, dataset, forbidden):
        self._dataset, self._forbidden, self.seen = dataset, set(forbidden), set()
        self.path, self.index, self.channels = dataset.path, dataset.index, dataset.channels
        self.value_range, self.options = dataset.value_range, dataset.options
        self.labels = dataset.labels

    def __len__(self):
        return len(self._dataset)

    def __getitem__(self, i):
        assert i not in self._forbidden
        self.seen.add(i)
        return self._dataset[i]


@pytest.fixture
def images(memory_dataset):
    rng = np.random.default_rng(0)
    labels = ["a"] * 30 + ["b"] * 30
    pixels = [rng.integers(0, 255, (32, 32, 3)).astype(np.uint8) for _ in labels]
    return memory_dataset(pixels, labels=labels, groups=[f"g{i // 2}" for i in range(60)])


def test_the_judge_reads_training_and_validation_images_only(images):
    parts, domain = split(images.index, 0.2), domains["natural"]
    guarded = Guarded(images, parts.test)
    judge = LabeledJudge.of(guarded, parts, domain, 0)
    found = judge(from_init("scratch", "test_resnet", 32, images, parts.train))
    assert guarded.seen == {*parts.train, *parts.val}
    assert found.images == len(parts.val)
    assert found.groups == len(np.unique(images.index.groups[parts.val]))
    assert found.metrics["accuracy"].low < found.metrics["accuracy"].high


def test_the_judge_averages_all_labels_and_ten_of_each_class(images):
    parts = split(images.index, 0.2)
    judge = LabeledJudge.of(images, parts, domains["natural"], 0)
    model = from_init("scratch", "test_resnet", 32, images, parts.train)
    found = judge(model)
    features, rows, _ = embed(model, images, judge.positions, domains["natural"], 0)
    val, labels = np.isin(rows, parts.val), images.index.labels[rows]
    shares = []
    for seed in range(5):
        few = np.isin(rows, draw_labels(images.index, parts.train, 10, seed))
        shares.append(probe_predict(features[few], labels[few], features[val]) == labels[val])
    every = probe_predict(features[~val], labels[~val], features[val]) == labels[val]
    assert found.metrics["accuracy"].value == pytest.approx((np.mean(shares) + every.mean()) / 2)
    few = replace(judge, positions=np.concatenate([parts.train[:9], parts.val]), learned=9)
    assert len(few._draws) == 1


def test_without_labels_views_of_an_image_are_looked_for(images):
    judge = LabelFreeJudge.of(images, np.arange(20), domains["natural"], 0)
    measured = judge(from_init("scratch", "test_resnet", 32, images, np.arange(20)))
    assert 0 < measured.metrics[judge.metric].value < 1
    assert (measured.main, measured.groups) == ("view_retrieval", 20)


def test_without_labels_only_objectives_are_searched(images):
    asked = {**ASKED, "encoder": {"name": "test_resnet", "image_size": 16}}
    opened = Images(domains["natural"], images, split(images.index, 0.2), "No labels")
    request = Request.of([asked])
    found = choices(request, opened)
    space = Space.around(asked, found, searched(request, opened))
    assert [d.key for d in space.dimensions] == ["objective.name"]
    assert space.size == len(found["objective.name"])
    trusting = Request.of([asked], trust=True)
    everything = Space.around(asked, found, searched(trusting, opened))
    assert "optimizer.lr" in everything.default
    assert "encoder.image_size" not in everything.default  # views of larger images are found easily


@pytest.mark.parametrize("more", [{"scratch": True}, {"layer": {"objective": "byol"}}])
def test_without_labels_what_cannot_be_compared_is_refused(images, more):
    request = Request.of([ASKED, more.get("layer", {})], scratch=more.get("scratch", False))
    opened = Images(domains["natural"], images, split(images.index, 0.2), "No labels")
    with pytest.raises(UsageError, match="Without labels only objectives can be compared"):
        searched(request, opened)


def test_a_search_ends_when_all_candidates_are_tried(tmp_path):
    search = searching(tmp_path, Bench())
    search.space = Space.around(ASKED, CHOICES, ("objective.name",))
    search.run()
    first = [t.number for t in search.records if t.stage == 0]
    assert first == [0, 1]
    chosen = [search.records[Trial(n, 0, 0)].params["objective.name"] for n in first]
    assert chosen == ["simclr", "byol"]


def outcome(out, images, gains, labeled=True, trust=False):
    """Makes the outcome of three finalists that improve on the default by some shares."""
    request = Request.of([ASKED], trust=trust)
    parts = split(images.index, 0.2)
    domain = domains["natural"]
    opened = Images(domain, images, parts, "" if labeled else "no labels")
    search = searching(out, Bench())
    rng = np.random.default_rng(1)
    groups, labels = np.arange(400), rng.integers(0, 2, 400)
    right = rng.random(400)
    for number, gain in enumerate(gains):
        for seed in (1, 2):
            trial = Trial(number, search.plan.rungs, seed)
            search._record(trial, {**search.space.default, "optimizer.lr": 1 / (1 + number)})
            predicted = np.where(right < 0.7 + gain, labels, 1 - labels)
            of_trial = Result.of_classification(labels, predicted, groups, ["a", "b"])
            of_trial.save(out / trial.folder / "judged.npz")
        search._record(Trial(number, 0, 0), search.space.default)
    predicted = np.where(right < 0.6, labels, 1 - labels)
    start = Result.of_classification(labels, predicted, groups, ["a", "b"])
    starts = [Start("scratch", 64, start)]
    numbers = range(len(gains))
    return Outcome(
        request, opened, search.space, search.plan, starts, search.records, numbers, "accuracy", out
    )


@pytest.mark.parametrize(
    ("gains", "winner"), [((0, 0.1, 0.05), 1), ((0, 0.002, 0), 0), ((0, -0.1, 0), 0)]
)
def test_the_default_is_left_for_more_than_the_noise_only(tmp_path, images, gains, winner):
    found = outcome(tmp_path, images, gains)
    assert found.winner == winner
    values = found.values(300.0)
    assert values["gains"]["start"]["verdict"] == "helps"
    assert ("default" in values["gains"]) == (winner != 0)
    assert found.config().data.keep_out == "test"
    text = tuned(values, tmp_path)
    assert ("It is better than the default: +" in text) == (winner == 1)
    assert ("The default is kept." in text) == (winner == 0)
    assert "untouched start: random weights, 64 px" in text
    (tmp_path / "tune.json").write_text(json.dumps(values))
    page = write_report(tmp_path).read_text()
    assert "fANOVA" in page or "too few results or settings" in page


def test_a_candidate_that_fails_with_a_new_seed_does_not_win(tmp_path, images):
    found = outcome(tmp_path, images, (0, 0.1, 0.05))
    failed = Trial(1, found.plan.rungs, 2)
    found.records[failed] = replace(found.records[failed], value=None, reason="It collapsed.")
    assert found.seeds == [1, 2]
    assert found.winner == 2


def test_without_common_seeds_the_last_common_rung_decides(tmp_path, images):
    found = outcome(tmp_path, images, (0, 0.1))
    for number, gain in ((0, 0.0), (1, -0.1)):
        right = np.arange(100) < 60 + 100 * gain
        labels = np.arange(100) % 2
        kept = Result.of_classification(
            labels, np.where(right, labels, 1 - labels), np.arange(100), ["a", "b"]
        )
        kept.save(tmp_path / Trial(number, 0, 0).folder / "judged.npz")
    for seed in (1, 2):
        del found.records[Trial(1, found.plan.rungs, seed)]
    assert found.seeds == []
    assert found.winner == 0  # which has results of the final, but is compared in the rung


def test_it_is_said_where_training_did_not_make_the_start_better(tmp_path, images):
    found = outcome(tmp_path, images, (0, 0.1))
    stage = found.plan.rungs
    for trial, record in found.records.items():
        found.records[trial] = replace(record, kept_start=trial == Trial(1, stage, 2))
    text = tuned(found.values(300.0), tmp_path)
    assert "winner, kept its start in 1 of 2 runs" in text
    assert "In 1 of its last 2 runs it handed back its start" in text


def test_a_run_that_kept_its_start_is_judged_as_the_start_was(finished_run, tmp_path, monkeypatch):
    monkeypatch.setattr("ssl_kit.training.choice._best", lambda scores: 0)
    asked = finished_run.config.model_dump(mode="json", exclude_none=True)
    init, size = str(finished_run.folder), finished_run.config.encoder.image_size
    config = resolve(as_trial(merge(asked, {"encoder": {"init": init}}), epochs=1))
    images = open_images_of(config, init)
    judge = LabeledJudge.of(images.dataset, images.splits, images.domain, 0)
    of_start = judge(from_init(init, "test_resnet", size, images.dataset, images.pool))
    known = {(init, size): of_start}
    judges = {init: judge}
    found = [train_and_judge(config, tmp_path / "run", judges, starts=s) for s in ({}, known)]
    assert found[0].kept_start
    assert found[0].result.metrics == of_start.metrics
    assert found[1].result is of_start


def test_views_are_searched_where_they_differ(images):
    request = Request.of([ASKED])
    parts = split(images.index, 0.2)
    areas = [
        choices(request, Images(domains[name], images, parts, ""))["views.min_area"]
        for name in ("natural", "medical")
    ]
    assert areas == [(None, 0.1, 0.4, 0.7), (None, 0.7)]  # the latter shows 40 % at least


def test_without_labels_the_default_is_left_for_a_gain_with_evidence_only(tmp_path, images):
    assert outcome(tmp_path / "a", images, (0, 0.005), labeled=False).winner == 0
    found = outcome(tmp_path / "b", images, (0, 0.1), labeled=False)
    assert found.winner == 1
    text = tuned(found.values(9), tmp_path)
    assert "It finds more views than the default: +" in text
    assert "nine of ten" in text
    assert "two of three" not in text


def test_choices_suit_domain_encoder_and_images(images):
    request = Request.of([{**ASKED, "encoder": {"name": "test_resnet", "image_size": 16}}])
    parts = split(images.index, 0.2)
    found = choices(request, Images(domains["natural"], images, parts, ""))
    assert found["objective.name"][0] == resolve(ASKED).objective.name
    assert "mae" not in found["objective.name"]  # needs tokens
    assert found["encoder.image_size"] == (16, 32)
    assert found["views.policy"] == ("default", "weak")


def test_objectives_that_were_named_are_all_searched(images):
    opened = Images(domains["natural"], images, split(images.index, 0.2), "")
    requests = Request.of([ASKED]), Request.of([ASKED], "byol,vicreg,mae")
    counts = [
        len(fewer_objectives(choices(request, opened), request, 2)["objective.name"])
        for request in requests
    ]
    assert counts == [2, 4]  # with the default's


@pytest.mark.parametrize(
    ("name", "init", "found"),
    [
        ("test_resnet", "scratch", (False,)),
        ("test_resnet", "imagenet", (True, False)),
        ("test_vit", "imagenet", (True,)),  # it has no batch normalization
    ],
)
def test_statistics_are_frozen_only_where_weights_have_some(images, name, init, found):
    request = Request.of([{**ASKED, "encoder": {"name": name, "image_size": 16, "init": init}}])
    searched = Images(domains["natural"], images, split(images.index, 0.2), "")
    assert choices(request, searched)["encoder.frozen_statistics"] == found


def test_a_candidate_from_scratch_has_no_setting_of_weights():
    kinds = {**CHOICES, "encoder.init": ("imagenet", "scratch")}
    space = Space.around(ASKED, {**kinds, "encoder.frozen_statistics": (False, True)})
    params = {**space.default, "encoder.init": "scratch", "encoder.frozen_statistics": True}
    assert not space.config(params).encoder.frozen_statistics
    assert space.config({**params, "encoder.init": "imagenet"}).encoder.frozen_statistics


def test_random_weights_share_what_is_not_searched_with_the_default(finished_run):
    init = str(finished_run.folder)
    asked = {"domain": "remote_sensing", "encoder": {"init": init}}
    space = Space.around(asked, {"encoder.init": (init, "scratch")})
    config = space.config({**space.default, "encoder.init": "scratch"})
    default = resolve(asked)
    assert config.encoder.name == default.encoder.name == "test_resnet"
    assert config.encoder.image_size == default.encoder.image_size
    assert config.objective.name == default.objective.name == "simclr"  # not that from scratch


def test_each_start_is_judged_with_the_values_that_it_is_trained_on(finished_run, tmp_path):
    facts = finished_run.read_json("encoder.json")
    other = tmp_path / "earlier"
    shutil.copytree(finished_run.folder, other)
    facts["value_range"] = [[0, 200]] * 3
    (other / "encoder.json").write_text(json.dumps(facts))
    asked = {**ASKED, "data": {"path": finished_run.config.data.path}}
    asked["encoder"] = {"init": str(other)}
    images, judges = images_and_judges(Request.of([asked], scratch=True))
    assert images.dataset.value_range.tolist() == [[0, 200]] * 3
    assert judges[str(other)].dataset.value_range.tolist() == [[0, 200]] * 3
    assert judges["scratch"].dataset.value_range.tolist() == [[0, 255]] * 3


@pytest.mark.parametrize(
    ("labels", "groups", "reason"),
    [
        (["a", "b"] * 30, ["p"] * 12 + ["q"] * 48, "of one group"),
        (["a"] * 12 + ["a", "b"] * 24, None, "two classes each"),
        (["a", "b"] * 30, None, ""),
    ],
)
def test_a_validation_part_of_one_class_or_group_cannot_judge(
    memory_dataset, images, labels, groups, reason
):
    pixels = [images[i].image for i in range(60)]
    dataset = memory_dataset(pixels, labels=labels, groups=groups)
    parts = replace(
        split(dataset.index, 0.2),
        val=np.arange(12),
        train=np.arange(12, 50),
        test=np.arange(50, 60),
    )
    assert reason in _why_no_labels(dataset, parts)
    assert bool(reason) == bool(_why_no_labels(dataset, parts))


def test_it_is_said_that_weights_have_seen_what_judges(finished_run, tmp_path):
    config = finished_run.config
    [warning] = warnings_of_seen(open_images_of(config, str(finished_run.folder)))
    assert "groups of the validation part, which flatters all candidates" in warning
    assert warnings_of_seen(open_images_of(config, "scratch")) == []


def test_a_default_that_fails_without_labels_is_said(tmp_path, images):
    found = outcome(tmp_path, images, (0, 0.1), labeled=False)
    found = replace(found, finalists=(1,))
    assert "The default could not be trained" in tuned(found.values(9), tmp_path)


def test_a_request_is_kept_and_another_one_is_refused(tmp_path):
    request = Request.of([ASKED], "byol,simclr", "10m")
    request.save(tmp_path)
    assert Request.load(tmp_path) == request
    request.save(tmp_path)
    with pytest.raises(UsageError, match=r"other settings .budget."):
        replace(request, budget=60).save(tmp_path)
    other = Request.of([ASKED, {"optimizer": {"lr": 0.1}}], "byol,simclr", "10m")
    with pytest.raises(UsageError, match=r"other settings .optimizer\.lr."):
        other.save(tmp_path)
    with pytest.raises(UsageError, match="holds no search"):
        Request.load(tmp_path / "elsewhere")


def test_a_search_that_fails_before_its_plan_leaves_no_settings(tmp_path, monkeypatch):
    def fails(*args):
        raise RunError("There are no such weights.")

    monkeypatch.setattr("ssl_kit.evaluation.tuning.run._search", fails)
    for _ in range(2):  # the second is no other search
        with pytest.raises(RunError, match="no such weights"):
            search(Request.of([ASKED], budget="10m"), tmp_path / "tune", Progress(quiet=True))
        assert not [*(tmp_path / "tune").glob("*.json")]


def test_what_the_search_sets_itself_is_refused():
    with pytest.raises(UsageError, match=r"sets train\.epochs itself"):
        Request.of([ASKED, {"train": {"epochs": 3}}])
    with pytest.raises(UsageError, match="Wrong value for 'train'"):
        Request.of([ASKED, {"train": 3}])
    with pytest.raises(UsageError, match="not 'soon'"):
        Request.of([ASKED], budget="soon")
    with pytest.raises(UsageError, match="Did you mean 'simclr'"):
        Request.of([ASKED], "byol,simcrl")
    with pytest.raises(UsageError, match="a setting of 'objective' fixes one"):
        Request.of([ASKED, {"objective": {"temperature": 0.1}}], "byol")
    with pytest.raises(UsageError, match="leave out --image-size"):
        refuse_beside_resume({"domain": None, "image_size": 3})
    with pytest.raises(UsageError, match="leave out --holdout"):
        refuse_beside_resume({"scratch": False, "holdout": 0})


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "trials" / "000-0-0").mkdir(parents=True)
    (tmp_path / "trials" / "000-0-0" / "trial.json").write_text("{")
    with pytest.raises(DataError, match="the trial is repeated"):
        read_records(tmp_path)


def test_a_record_of_another_judge_is_named(tmp_path):
    trial = Trial(0, 0, 0)
    (tmp_path / trial.folder).mkdir(parents=True)
    Record(trial, {}, 0.5).save(tmp_path)
    assert read_records(tmp_path)
    (tmp_path / trial.folder / "validation.npz").write_bytes(b"")
    with pytest.raises(DataError, match="by all labels alone"):
        read_records(tmp_path)


def test_a_hopeless_budget_is_refused_before_images_are_opened(tmp_path):
    request = Request.of([ASKED], budget="10s")
    for _ in range(2):  # the folder can be used again
        with pytest.raises(
            UsageError, match=r"Give --budget 1m (or more|at least, perhaps more), or lower"
        ):
            search(request, tmp_path / "tune", Progress(quiet=True))
    assert not [*(tmp_path / "tune").glob("*")]


@pytest.mark.parametrize("ended", [False, True])
def test_the_folder_of_a_search_is_no_run(tmp_path, ended):
    (tmp_path / "trials" / "002-1-1").mkdir(parents=True)
    (tmp_path / "settings.json").write_text("{}")
    expected = f"go on with 'ssl-kit tune --resume {tmp_path}'"
    if ended:
        (tmp_path / "tune.json").write_text('{"winner": 2}')
        (tmp_path / "config.toml").write_text('domain = "natural"')
        (tmp_path / "trials" / "002-1-1" / "encoder.safetensors").write_bytes(b"")
        expected = f"'ssl-kit train --config {tmp_path / 'config.toml'}', or give a run of its winn"
    for open_it in (Run, run_of, lambda folder: ssl_kit.train(resume=folder)):
        with pytest.raises(UsageError, match="is a search for settings") as caught:
            open_it(str(tmp_path))
        assert expected in str(caught.value)


def test_image_sizes_are_of_whole_patches(images):
    encoder = {"name": "vit_small_patch14_dinov2", "image_size": 16}
    assert _sizes(Request.of([{**ASKED, "encoder": encoder}]).default, images) == (16, 28)


def test_an_image_size_that_the_encoder_cannot_take_is_left_out(images, monkeypatch):
    def start(images, judge, request, init, size):
        if size != 64:
            raise UsageError(f"The encoder cannot take images of {size} pixels.")
        return Start(init, size, result(0.5))

    monkeypatch.setattr(running, "_start", start)
    request, told = Request.of([ASKED]), Progress(quiet=True)
    warned: list[str] = []
    monkeypatch.setattr(told, "warn", warned.append)
    judges, sizes = {"scratch": None}, [("scratch", 64), ("scratch", 96)]
    found = running._starts(images, judges, request, sizes, told)
    assert [start.image_size for start in found] == [64]
    assert warned == ["Images of 96 px are not tried: The encoder cannot take images of 96 pixels."]
    other = Request.of([{**ASKED, "encoder": {"name": "test_resnet", "image_size": 96}}])
    with pytest.raises(UsageError, match="cannot take images of 96"):
        running._starts(images, judges, other, sizes, told)


def test_a_search_does_not_go_on_with_other_images(images, tmp_path):
    opened = Images(domains["natural"], images, split(images.index, 0.2), "")
    plan = make_plan(900, 0, Cost(100, 5), 500)
    refuse_other_images(None, opened, tmp_path)
    refuse_other_images(plan, opened, tmp_path)  # of an earlier version
    refuse_other_images(replace(plan, images=images.fingerprint()), opened, tmp_path)
    with pytest.raises(UsageError, match=r"are not those that .* was started with"):
        refuse_other_images(replace(plan, images="0" * 16), opened, tmp_path)


def test_a_signal_after_the_end_of_a_training_ends_the_search_with_its_record(tmp_path):
    bench = Bench()

    def measure(config, folder):
        with stop_signals(lambda number: None):
            if bench.calls == 1:
                signal.raise_signal(signal.SIGTERM)
        return bench(config, folder)

    search = replace(searching(tmp_path / "out", bench), measure=measure)
    with pytest.raises(KeyboardInterrupt, match=r"Interrupted after 2 runs\. Go on with"):
        search.run()
    assert sorted(t.number for t in read_records(tmp_path / "out")) == [0, 1]


def test_it_is_said_that_random_weights_are_the_only_start(images, monkeypatch):
    opened, said = Images(domains["natural"], images, split(images.index, 0.2), ""), list[str]()
    told = Progress(quiet=True)
    monkeypatch.setattr(told, "say", said.append)
    for scratch in (False, True):
        tell(opened, Request.of([ASKED], scratch=scratch), told)
    assert [text for text in said if "--scratch" in text] == [
        "--scratch adds nothing: without --init all candidates have random weights."
    ]
