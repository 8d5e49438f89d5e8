from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ssl_kit import DataError, Index, RunError, UsageError
from ssl_kit.core.discovery import domains
from ssl_kit.data.targets import understand_labels
from ssl_kit.reports.html import page
from ssl_kit.reports.text import trained
from ssl_kit.training import retrieval, selection
from ssl_kit.training.candidates import interpolate, is_start
from ssl_kit.training.choice import MARGIN, choose
from ssl_kit.training.judge import (
    Sample,
    enough_of_each_class,
    evenly_by_group,
    fold_numbers,
    judged_by,
)
from ssl_kit.training.layers import merge
from ssl_kit.training.probe import probe_predict
from ssl_kit.training.progress import Progress
from ssl_kit.training.run import Run
from ssl_kit.training.setup import build
from ssl_kit.training.start import go_on, start

from .test_resume import Recorded

QUIET = Progress(quiet=True)


@pytest.fixture(scope="module")
def from_weights(finished_run):
    """Settings of a tiny run that begins from the weights of another one."""
    config = finished_run.config.model_dump(mode="json", exclude_none=True)
    return merge(config, {"encoder": {"init": str(finished_run.folder)}, "seed": 3})


@pytest.fixture(scope="module")
def judged(from_weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "judged"
    return start([from_weights], out, QUIET)[0]


def kept(run):
    return Run(run).read_json("selection.json")


def test_a_run_from_weights_judges_its_start_its_middle_its_end_and_mixtures(judged):
    facts = kept(judged)
    assert [(c["kind"], c["share"]) for c in facts["candidates"]] == [
        ("checkpoint", 0.0), ("checkpoint", 0.5), ("checkpoint", 1.0),
        ("interpolation", 0.25), ("interpolation", 0.5), ("interpolation", 0.75),
    ]  # fmt: skip
    assert (facts["images"], facts["groups"], facts["classes"]) == (24, 24, 3)
    assert facts["candidates"][0]["cka"] == pytest.approx(1)
    assert judged.read_json("manifest.json")["kept"] == facts["kept"]
    assert judged.read_json("encoder.json")["kept"] == facts["kept"]
    assert not (judged.folder / "checkpoints" / "candidates").exists()
    assert "Kept: " in trained(judged, "OK")
    assert "Kept encoder" in page.run_page(judged).decode()


def test_without_a_measurable_gain_the_start_is_handed_back(
    from_weights, finished_run, tmp_path, monkeypatch
):
    monkeypatch.setattr("ssl_kit.training.choice.MARGIN", 9.0)
    absurd = {"optimizer": {"lr": 1e3, "warmup": 0}}
    run = start([from_weights, absurd], tmp_path / "run", QUIET)[0]
    assert kept(run)["kept"] == {"kind": "checkpoint", "share": 0.0}
    weights, initial = load_file(run.encoder), load_file(finished_run.encoder)
    assert all(torch.equal(weights[name], initial[name]) for name in initial)
    assert run.end.is_file()
    assert "Kept: the start" in trained(run, "OK")


def test_a_resumed_run_chooses_the_same(judged, from_weights, tmp_path):
    with pytest.raises(RunError, match="Stopped by a signal"):
        start([from_weights], tmp_path / "run", Recorded(2))
    go_on(tmp_path / "run", QUIET)
    assert (tmp_path / "run" / "encoder.safetensors").read_bytes() == judged.encoder.read_bytes()
    assert kept(tmp_path / "run") == kept(judged)


def test_a_kill_while_it_chooses_changes_nothing(judged, from_weights, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(selection, "choose", killed)
        with pytest.raises(KeyboardInterrupt):
            start([from_weights], tmp_path / "run", QUIET)
    left = tmp_path / "run" / "checkpoints" / "candidates" / "0.safetensors"
    for _ in range(2):  # the second time the run has ended
        run = go_on(tmp_path / "run", QUIET)[0]
        assert not left.exists()
        assert run.encoder.read_bytes() == judged.encoder.read_bytes()
        assert run.read_json("manifest.json")["kept"] == kept(judged)["kept"]
        left.parent.mkdir()  # as a kill between the choice and their removal leaves them
        left.touch()


@pytest.fixture
def unlabeled(from_weights, image_folder):
    """Settings of a run from weights on the same images without labels."""
    for number, file in enumerate(sorted(image_folder.glob("*/*.png"))):
        file.rename(image_folder / f"{number}.png")
    for folder in image_folder.iterdir():
        if folder.is_dir():
            folder.rmdir()
    return merge(from_weights, {"data": {"path": str(image_folder)}})


def test_without_labels_start_and_end_look_for_views(unlabeled, tmp_path):
    run = start([unlabeled], tmp_path / "run", QUIET)[0]
    facts = kept(run)
    assert facts["reason"] == "the images have no labels"
    assert facts["weights_changed"] > 0
    assert -1 < facts["cka"] < 1
    found = {name: share["value"] for name, share in facts["view_retrieval"].items()}
    assert found["gain"] == pytest.approx(found["end"] - found["start"])
    assert "Drift from the start" in trained(run, "OK")


def test_without_labels_the_start_is_handed_back_if_the_end_finds_fewer_views(
    unlabeled, finished_run, tmp_path, monkeypatch
):
    fewer = iter([np.ones(30), np.zeros(30)])
    monkeypatch.setattr(retrieval.ViewPairs, "found", lambda *_: next(fewer))
    run = start([unlabeled], tmp_path / "run", QUIET)[0]
    assert kept(run)["kept"] == {"kind": "checkpoint", "share": 0.0}
    weights, initial = load_file(run.encoder), load_file(finished_run.encoder)
    assert all(torch.equal(weights[name], initial[name]) for name in initial)
    assert not all(torch.equal(load_file(run.end)[name], initial[name]) for name in initial)


def test_views_that_find_each_other_are_counted_both_ways():
    a = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    b = torch.tensor([[1.0, 0.1], [1.0, 0.9], [0.1, 1.0]])
    assert retrieval.found_views(a, b).tolist() == [1.0, 0.0, 0.0]
    assert retrieval.found_views(a, torch.full((3, 2), np.nan)).tolist() == [0.0, 0.0, 0.0]


def test_retrieval_is_compared_image_by_image():
    start, end = np.array([1.0] * 60 + [0.0] * 40), np.array([1.0] * 50 + [0.0] * 50)
    found = retrieval.compare(start, end)
    assert found["gain"].value == pytest.approx(-0.1)
    assert found["gain"].high < 0
    spread = (end - start).std(ddof=1) / 10
    assert found["gain"].high - found["gain"].low == pytest.approx(4 * spread, rel=0.1)


def test_the_last_encoder_is_kept_if_asked_for(from_weights, tmp_path):
    run = start([from_weights, {"train": {"keep": "last"}}], tmp_path / "run", QUIET)[0]
    assert not run.selection.exists()
    assert run.read_json("manifest.json")["kept"] == {"kind": "checkpoint", "share": 1.0}


@pytest.fixture(scope="module")
def pooled_otherwise(from_weights, tmp_path_factory):
    """A run whose objective does not train the class token that its start pools."""
    folder = tmp_path_factory.mktemp("runs")
    vit = {"encoder": {"init": "scratch", "name": "test_vit"}}
    first = start([from_weights, vit], folder / "first", QUIET)[0]
    masked = {"encoder": {"init": str(first.folder)}, "objective": "simmim"}
    return start([from_weights, vit, masked], folder / "second", QUIET)[0]


def test_the_start_is_judged_with_its_own_pooling_too(pooled_otherwise):
    published = kept(pooled_otherwise)["published"]
    assert published["pooling"] == "the mean of the patch tokens, not the class token"
    assert "Pooled as it was published, the start has" in trained(pooled_otherwise, "OK")


def test_a_start_with_another_pooling_is_not_the_start(pooled_otherwise):
    manifest = pooled_otherwise.read_json("manifest.json")
    of_start = {**manifest, "kept": {"kind": "checkpoint", "share": 0.0}}
    assert not is_start(of_start)
    assert is_start({**of_start, "pooling": ""})


def test_judging_costs_a_share_of_what_the_training_does(judged):
    """Images are counted: a training step passes each view forward and back."""
    setup = build(judged.config)
    chosen = selection.Selection(judged, setup, None, None)
    for steps in (1_000, 2_000):
        passes = 3 * steps * setup.images_per_step * len(setup.views)
        least = 6 * selection.FEWEST_IMAGES
        assert least < 6 * chosen.images(steps) <= 0.04 * passes
    assert chosen.images(10**9) == selection.MOST_IMAGES


def test_judging_is_left_time(judged):
    chosen = selection.Selection(judged, build(judged.config), None, None)
    assert chosen.seconds(1000, 0.01) == pytest.approx(0.04 * 1000)
    assert chosen.seconds(10**6, 0.01) == pytest.approx(selection.MOST_IMAGES * 6 * 0.01 * 1.5)
    assert chosen.seconds(1, 0.01) == pytest.approx(selection.FEWEST_IMAGES * 6 * 0.01 * 1.5)
    assert chosen.seconds(100, None) == 4


@pytest.mark.parametrize(
    ("labels", "groups", "reason"),
    [
        ([""] * 12, None, "the images have no labels"),
        (["a"] * 6 + [""] * 6, None, "fewer than two classes"),
        (["a", "b"] * 6, ["p", "p", "q", "q"] * 3, "have 2 groups, and 6 are needed"),
    ],
)
def test_too_few_labels_are_said(labels, groups, reason):
    index = Index.build([str(i) for i in range(12)], labels=labels, groups=groups)
    with pytest.raises(UsageError, match=reason):
        judged_by(index, np.arange(12))


def test_numbers_are_judged_as_fifths():
    understood = understand_labels([str(i / 3) for i in range(30)])
    index = Index.build([str(i) for i in range(30)], labels=understood.classes)
    index = replace(index, targets=understood.targets, target_names=understood.names)
    assert len(judged_by(index, np.arange(30))) == 30


def test_folds_share_no_group_and_have_all_classes():
    rng = np.random.default_rng(0)
    groups = rng.permutation(200) % 40
    labels = groups % 4
    folds = fold_numbers(labels, groups)
    assert all(len(np.unique(folds[groups == group])) == 1 for group in range(40))
    assert all(len(np.unique(labels[folds == fold])) == 4 for fold in range(3))
    assert (np.bincount(folds) > 60).all()
    assert (folds != fold_numbers(labels, groups, seed=1)).mean() > 0.3


def test_two_groups_of_a_class_come_to_different_folds():
    labels = np.array([0] * 5 + [1] * 2)  # those of the second class are dealt in two rounds
    for seed in range(20):
        folds = fold_numbers(labels, np.arange(7), seed)
        assert folds[5] != folds[6]
    assert fold_numbers(np.array([0, 1]), np.arange(2)).max() < 3  # one group each


def test_of_many_classes_some_are_judged():
    labels, groups = np.repeat(np.arange(200), 20), np.arange(4000)
    chosen = enough_of_each_class(np.arange(4000), labels, groups, 160)
    drawn, counts = np.unique(labels[chosen], return_counts=True)
    assert len(chosen) == 160
    assert len(drawn) <= 160 // 6
    assert counts.mean() >= 6
    few = labels % 4
    evenly = evenly_by_group(np.arange(4000), few, groups, 160)
    assert enough_of_each_class(np.arange(4000), few, groups, 160).tolist() == evenly.tolist()


def test_the_memory_of_signals_is_not_that_of_square_images(judged, monkeypatch):
    setup = replace(build(judged.config), domain=domains["audio"])
    signal = np.zeros((1, 50, 3), np.float32)
    monkeypatch.setattr(setup.dataset, "read", lambda i: signal)
    monkeypatch.setattr("ssl_kit.training.judge._BYTES", 20 * 32 * 3 * 4)  # of 32 samples each
    assert len(Sample.of(setup, setup.pool, 100).pixels) == 20


def test_few_images_are_divided_several_times():
    rng = np.random.default_rng(0)
    of = {n: Sample(torch.zeros(n), np.arange(n) % 2, np.arange(n)) for n in (100, 400, 1000)}
    assert [len(sample.folds) for sample in of.values()] == [4, 2, 1]
    sample, features = of[100], rng.normal(size=(100, 3)).astype(np.float32)
    expected = np.zeros(100)
    for folds in sample.folds:
        for i in range(100):
            known = np.flatnonzero(folds != folds[i])
            [guess] = probe_predict(features[known], sample.labels[known], features[i : i + 1])
            expected[i] += (guess == sample.labels[i]) / 4
    assert sample.correct(features).tolist() == expected.tolist()


def test_a_large_group_does_not_stand_for_the_others():
    groups = np.array([0] * 90 + list(range(1, 11)))
    labels = np.arange(100) % 2
    chosen = evenly_by_group(np.arange(100), labels, groups, 12)
    assert set(groups[chosen]) == set(range(11))
    assert (chosen < 90).sum() == 2


def test_unreadable_images_are_not_judged_by(judged):
    setup = build(judged.config)
    read = setup.dataset.read
    broken = setup.pool[3]

    def failing(i):
        if i == broken:
            raise DataError("damaged")
        return read(i)

    setup.dataset.read = failing
    sample = Sample.of(setup, setup.pool, 100)
    assert len(sample.pixels) == len(sample.labels) == len(setup.pool) - 1


def test_weights_are_mixed_and_counts_are_those_of_the_end():
    first = {"w": torch.zeros(2), "n": torch.tensor(3)}
    last = {"w": torch.ones(2), "n": torch.tensor(9)}
    mixed = interpolate(first, last, 0.25)
    assert mixed["w"].tolist() == [0.25, 0.25]
    assert mixed["n"] == 9


def answers(rng, shares, images):
    """Correct answers of encoders with given shares, correlated as those of related encoders."""
    from scipy.stats import norm

    difficulty = rng.normal(size=images)
    noise = rng.normal(size=(len(shares), images))
    limits = norm.ppf(np.array(shares))[:, None]
    return list(0.92 * difficulty + 0.39 * noise < limits)


def slow_balanced(correct, labels, used):
    recalls = []
    for label in set(labels[used].tolist()):
        of_class = [bool(correct[i]) for i in np.flatnonzero(used) if labels[i] == label]
        recalls.append(sum(of_class) / len(of_class))
    return sum(recalls) / len(recalls)


def slow_best(correct, labels, groups, used):
    names = sorted(set(groups[used].tolist()))
    values = [slow_balanced(each, labels, used) for each in correct]
    best = values.index(max(values))
    gain = values[best] - values[0]
    changes = []
    for name in names:
        others = used & (groups != name)
        without = [slow_balanced(correct[k], labels, others) for k in (best, 0)]
        changes.append(without[0] - without[1] - gain)
    error = ((len(names) - 1) / len(names) * sum(c * c for c in changes)) ** 0.5
    return best if gain > MARGIN * error else 0


@pytest.mark.parametrize("seed", range(4))
def test_the_rule_agrees_with_a_slow_restatement(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 20, 120)
    labels = rng.integers(0, 3, 120)
    folds = groups % 3
    correct = answers(rng, [0.6, 0.6 + 0.04 * seed, 0.62, 0.5], 120)
    choice = choose(correct, labels, groups, folds)
    everything = np.ones(120, dtype=bool)
    elsewhere = np.zeros(120, dtype=bool)
    for fold in range(3):
        best = slow_best(correct, labels, groups, folds != fold)
        elsewhere[folds == fold] = correct[best][folds == fold]
    start_value = slow_balanced(correct[0], labels, everything)
    gain = slow_balanced(elsewhere, labels, everything) - start_value
    assert choice.gain.value == pytest.approx(gain)
    best = slow_best(correct, labels, groups, everything)
    assert choice.chosen == (best if gain > 0 else 0)
    assert choice.values[0].value == pytest.approx(start_value)


def test_equal_encoders_leave_the_start():
    correct = np.arange(60) % 3 > 0
    choice = choose([correct] * 3, np.arange(60) % 2, np.arange(60), np.arange(60) % 3)
    assert (choice.chosen, choice.gain.value) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shares", "least"),
    [
        ([0.65, 0.64, 0.63, 0.645, 0.64, 0.635], -0.003),
        ([0.65, 0.59, 0.55, 0.63, 0.60, 0.57], -0.003),
        ([0.65, 0.68, 0.70, 0.67, 0.69, 0.70], 0.02),
    ],
)
def test_what_is_handed_back_is_no_worse_than_the_start_on_average(shares, least):
    rng = np.random.default_rng(0)
    images = np.arange(200)
    gains, told = [], []
    for _ in range(300):
        choice = choose(answers(rng, shares, 200), images % 5, images, images % 3)
        gains.append(shares[choice.chosen] - shares[0])
        told.append(choice.gain.value)
    assert np.mean(gains) > least
    assert abs(np.mean(told) - np.mean(gains)) < 0.006  # not flattered by the choice


def test_an_encoder_that_no_fold_chooses_is_not_kept():
    labels, groups = np.arange(64) % 4, np.arange(64)
    start = np.where(np.arange(64) % 3 == 0, 0.0, 1.0)
    better = start.copy()
    better[np.flatnonzero(start == 0)[:3]] = 1 / 4  # right in one of four divisions
    choice = choose([start, better], labels, groups, fold_numbers(labels, groups))
    assert choice.gains[1].value > 0
    assert choice.chosen == 0


def test_the_pool_is_computed_once(finished_run):
    setup = build(finished_run.config)
    assert setup.pool is setup.pool
