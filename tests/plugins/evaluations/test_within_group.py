from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from ssl_kit import UnknownNameError, UsageError, validate
from ssl_kit.core.discovery import domains
from ssl_kit.data import cut_in_time
from ssl_kit.data.channel_statistics import Statistics
from ssl_kit.data.in_time import later_starts
from ssl_kit.data.splits import split
from ssl_kit.evaluation import EvaluationData, Pretrained
from ssl_kit.plugins.evaluations.cuts import cut_by_run
from ssl_kit.plugins.evaluations.linear import Linear, LinearConfig
from ssl_kit.plugins.evaluations.within_group import WithinGroup, WithinGroupConfig

MODEL = Pretrained("toy", nn.Identity(), ("gray",), Statistics([0.0], [1.0]), 8, "")
SUBJECTS, WINDOWS, STRIDE, LENGTH = 6, 60, 15.0, 60.0


@pytest.fixture
def problem(memory_dataset):
    """Makes subjects whose windows, in no order, change class every fifth window."""

    def make(skill=1.0, time=True, own=0.0, **changed):
        rng = np.random.default_rng(0)
        order = rng.permutation(SUBJECTS * WINDOWS)
        groups, number = np.arange(SUBJECTS * WINDOWS)[order] // WINDOWS, order % WINDOWS
        labels = number // 5 % 2
        for group, label in changed.items():
            labels[groups == int(group[1:])] = label
        dataset = memory_dataset(
            [np.zeros((8, 8, 1), np.uint8)] * len(order),
            labels=["ab"[k] for k in labels],
            groups=[f"s{g}" for g in groups],
            positions=np.column_stack([groups, number * STRIDE]) if time else None,
        )
        directions = rng.normal(size=(SUBJECTS, 6)) * own + skill * np.eye(6)[0]
        features = rng.normal(size=(len(order), 6)) + directions[groups] * (2 * labels[:, None] - 1)
        data = EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"])
        data._embedded[id(MODEL)] = (MODEL, features.astype(np.float32), np.arange(len(order)))
        return data

    return make


@pytest.fixture
def trainings(monkeypatch):
    seen, original = [], Linear.evaluate

    def spy(self, model, data):
        seen.append(data.parts)
        return original(self, model, data)

    monkeypatch.setattr(Linear, "evaluate", spy)
    return seen


def evaluate(data, **options):
    return WithinGroup(WithinGroupConfig(**options)).evaluate(MODEL, data)


def cut(data, **options):
    return WithinGroup(WithinGroupConfig(**options)).cut(data)


def test_parts_follow_each_other_in_time_with_a_gap_and_share_nothing(problem):
    data = problem()
    index = data.dataset.index
    kept, left_out = cut(data, gap=LENGTH)
    assert (list(kept), left_out) == ([0, 1, 2, 3, 4, 5], {})
    for group, parts in kept.items():
        rows = [parts.train, parts.val, parts.test]
        assert len(np.unique(np.concatenate(rows))) == sum(map(len, rows))
        times = [index.positions[r, 1] for r in rows]
        for r in rows:
            assert (index.groups[r] == group).all()
        assert times[1].min() - times[0].max() >= LENGTH
        assert times[2].min() - times[1].max() >= LENGTH
        assert [len(t) for t in times] == [33, 9, 12]  # 36, 12, 12 before the gaps of 3


def test_a_gap_longer_than_the_validation_time_holds_for_training_too():
    positions = np.column_stack([np.zeros(20), np.arange(20)])
    train, val, test = cut_in_time(positions, 0.5, 0.1, 5)
    assert (train.tolist(), val.tolist(), test.tolist()) == (
        list(range(6)), [], list(range(12, 20)),
    )  # fmt: skip


def test_recordings_follow_each_other_and_need_no_gap_between_them():
    positions = np.column_stack([np.arange(20) % 2, np.arange(20)])
    train, val, test = cut_in_time(positions, 0.5, 0.25, 3)
    assert train.tolist() == list(range(0, 20, 2))
    assert val.tolist() == [1, 3, 5, 7]  # 9 is less than 3 before 11
    assert test.tolist() == [11, 13, 15, 17, 19]


def test_the_last_runs_are_tested_on_and_the_run_before_is_for_validation():
    runs, positions = np.arange(20) % 5, np.zeros((20, 0))
    train, val, test = cut_by_run(runs, positions, 0.6, 0.2, 9.0)
    assert sorted(set(runs[train])) == [0, 1, 2]
    assert (set(runs[val]), set(runs[test])) == ({3}, {4})
    assert sorted([*train, *val, *test]) == list(range(20))


@pytest.mark.parametrize(("runs", "sizes"), [([1], (4, 0, 0)), ([1, 2], (4, 0, 4)),
                                             ([1, 2, 3], (4, 4, 4))])  # fmt: skip
def test_few_runs_are_parts_too(runs, sizes):
    parts = cut_by_run(np.repeat(runs, 4), np.zeros((4 * len(runs), 0)), 0.6, 0.2, 0.0)
    assert tuple(map(len, parts)) == sizes


def with_runs(data, names):
    """The same windows, four recordings a subject, named as files are."""
    index = data.dataset.index
    recording = (index.positions[:, 1] // (15 * STRIDE)).astype(int)
    keys = [names.format(run=r + 7, n=n) for n, r in enumerate(recording)]
    data.dataset.index = replace(
        index,
        keys=np.array(keys, dtype=bytes),
        positions=np.column_stack([recording, index.positions[:, 1]]).astype(np.float32),
    )
    return recording


@pytest.mark.parametrize("parts", ["recording", r"run-(\d+)"])
def test_a_recording_is_a_part_and_may_be_named_by_a_rule(problem, parts):
    data = problem()
    recording = with_runs(data, "sub_run-{run}.edf/{n}")
    kept, left_out = cut(data, parts=parts)
    assert (len(kept), left_out) == (SUBJECTS, {})
    for each in kept.values():
        assert set(recording[each.train]) == {0, 1}
        assert (set(recording[each.val]), set(recording[each.test])) == ({2}, {3})


def test_a_rule_that_names_no_run_is_refused_with_the_name(problem):
    data = problem()
    with pytest.raises(UsageError, match="does not occur in the name of the image 'image"):
        cut(data, parts=r"run-(\d+)")
    with pytest.raises(UsageError, match="time, recording or a regular expression"):
        validate(WithinGroupConfig, {"parts": "run-("}, "within_group")


def test_groups_that_were_pretrained_on_are_learned_from_and_not_reported_on(problem, trainings):
    data = problem()
    index = data.dataset.index
    known = index.group_hashes(np.flatnonzero(index.groups < 3))
    data = replace(data, pretrained_on=frozenset(known))
    found = evaluate(data)
    assert [row["group"] for row in found.details["groups"]] == [3, 4, 5]
    assert "3 groups that the run was pre-trained on" in found.details["remarks"][-1]
    assert set(index.groups[WithinGroup(WithinGroupConfig()).tested(data)]) == {3, 4, 5}
    assert set(index.groups[trainings[-1].train]) == {0, 1, 2, 3, 4}
    known = index.group_hashes(np.flatnonzero(index.groups < 5))
    with pytest.raises(UsageError, match=r"not 1\. Pre-train with a larger --holdout"):
        evaluate(replace(data, pretrained_on=frozenset(known)))


def seen_until(data, share):
    index = data.dataset.index
    starts = {
        index.group_hashes(np.flatnonzero(index.groups == g)).pop(): start
        for g, start in later_starts(index, share).items()
    }
    return replace(data, pretrained_on=frozenset(starts), until=starts)


def test_groups_are_reported_on_if_their_test_images_are_later_than_what_was_pretrained_on(problem):
    data = problem()
    found = evaluate(seen_until(data, 0.6), train=0.6, others=False)
    assert [row["group"] for row in found.details["groups"]] == [0, 1, 2, 3, 4, 5]
    with pytest.raises(UsageError, match="not 0"):
        evaluate(seen_until(data, 0.9), train=0.6, others=False)


def test_each_group_is_tested_with_its_own_encoder(problem, monkeypatch):
    data, used = problem(), []
    index = data.dataset.index
    own = {
        index.group_hashes(np.flatnonzero(index.groups == g)).pop(): replace(MODEL, name=f"own-{g}")
        for g in range(SUBJECTS)
    }

    def note(self, model, data):
        used.append((int(index.groups[data.parts.test[0]]), model.name))
        return original(self, MODEL, data)

    original = Linear.evaluate
    monkeypatch.setattr(Linear, "evaluate", note)
    within = WithinGroup(WithinGroupConfig(others=False))
    within.evaluate(replace(MODEL, by_group=own), data)
    assert used == [(g, f"own-{g}") for g in range(SUBJECTS)]
    own.popitem()
    with pytest.raises(UsageError, match="none for a group that is tested"):
        within.evaluate(replace(MODEL, by_group=own), data)


def test_each_group_is_the_evaluation_on_its_own_time(problem):
    data = problem()
    found = evaluate(data, options={"strengths": [0.1, 1.0]})
    index = data.dataset.index
    for row, parts in zip(found.details["groups"], cut(data)[0].values(), strict=True):
        probe = Linear(LinearConfig(strengths=(row["C"],)))
        own_time = replace(data, splits=parts).features(MODEL)
        predicted = probe.predict(own_time)[0].argmax(axis=1)
        right = predicted == index.labels[parts.test]
        assert row["accuracy"] == pytest.approx(right.mean())
        assert row["images"] == np.sum(row["confusion"]) == len(parts.test)


def test_means_and_deviation_are_those_of_the_rows(problem):
    found = evaluate(problem())
    values = [row["balanced_accuracy"] for row in found.details["groups"]]
    assert found.main == "balanced_accuracy"
    assert found.by_group.tolist() == values
    assert found.metrics["balanced_accuracy"].value == pytest.approx(np.mean(values))
    deviation = found.details["between_groups"]["balanced_accuracy"]["deviation"]
    assert deviation == pytest.approx(np.std(values, ddof=1))


def test_a_model_of_the_others_learns_nothing_of_the_group(problem, trainings):
    data = problem()
    evaluate(data)
    groups = data.dataset.index.groups
    own, others = trainings[:SUBJECTS], trainings[SUBJECTS:]
    for mine, general in zip(own, others, strict=True):
        assert (mine.test == general.test).all()
        known = np.concatenate([general.train, general.val])
        assert not set(groups[known]) & set(groups[general.test])
        assert len(np.unique(groups[known])) == SUBJECTS - 1


def test_subjects_that_differ_need_a_model_of_their_own(problem):
    found = evaluate(problem(skill=0.0, own=1.0))
    assert found.details["own_against_others"]["value"] > 0.15
    assert found.metrics["balanced_accuracy_of_others"].value < 0.7


def test_features_without_information_do_as_chance(problem):
    found = evaluate(problem(skill=0.0), others=False)
    assert found.metrics["balanced_accuracy"].value == pytest.approx(0.5, abs=0.12)
    assert "balanced_accuracy_of_others" not in found.metrics


def test_a_group_with_too_few_of_a_class_is_left_out_by_number(problem):
    found = evaluate(problem(s1=0), others=False)
    assert found.details["left_out"] == [{"group": 1, "reason": "has images of a single class"}]
    assert found.details["remarks"] == [
        "1 of 6 groups is left out: 1 has images of a single class.",
    ]
    assert len(found.by_group) == SUBJECTS - 1


def test_images_that_are_reported_on_are_those_of_the_later_time(problem):
    data = problem()
    tested = WithinGroup(WithinGroupConfig()).tested(data)
    assert tested.tolist() == sorted(i for s in cut(data)[0].values() for i in s.test)
    assert set(data.dataset.index.groups[tested]) == set(range(SUBJECTS))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"gap": 500.0}, UsageError, "0 of 6 groups can be split in time; two are needed. Group 0"),
        ({"minimum": 7}, UsageError, "has 4 images of a class in its validation part, not 7"),
        ({"evaluation": "lineer"}, UnknownNameError, "lineer"),
        ({"options": {"kk": 1}}, UsageError, "Unknown key 'options.kk'"),
    ],
)
def test_what_cannot_be_done_is_said_plainly(problem, options, error, said):
    with pytest.raises(error, match=said):
        evaluate(problem(), **options)


def test_labels_that_were_held_back_are_refused(problem, trainings):
    data = problem()
    with pytest.raises(UsageError, match="learns from labels of the test part too"):
        evaluate(data.limited(data.parts.train[:20]))
    assert not trainings


def test_images_without_time_are_refused(problem):
    with pytest.raises(UsageError, match="have no time"):
        evaluate(problem(time=False))


def test_shares_that_leave_nothing_to_test_on_are_refused():
    with pytest.raises(UsageError, match="no test part is left"):
        validate(WithinGroupConfig, {"train": 0.7, "val": 0.3}, "within_group")
