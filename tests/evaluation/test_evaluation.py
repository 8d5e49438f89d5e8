import shutil

import albumentations as A
import numpy as np
import pytest

from ssl_kit import Evaluation, RunError, UsageError, evaluate
from ssl_kit.core.config import Config
from ssl_kit.core.discovery import domains
from ssl_kit.data.splits import split
from ssl_kit.evaluation import EvaluationData, Result, load_evaluations
from ssl_kit.evaluation.leakage import refuse_overlap, until_of
from ssl_kit.evaluation.pretrained import embed, from_init
from ssl_kit.evaluation.requests import choose, open_images
from ssl_kit.evaluation.side_by_side import evaluate_side_by_side
from ssl_kit.training.layers import parse_set
from ssl_kit.training.run import Run
from ssl_kit.training.settings import RunConfig


class Model:
    def __init__(self, name, right):
        self.name, self.right = name, right


class Scripted(Evaluation):
    """Judges what the model is said to predict right of 40 images."""

    def evaluate(self, model, data):
        labels = np.arange(40) % 2
        predictions = np.where(np.arange(40) < model.right, labels, 1 - labels)
        return Result.of_classification(labels, predictions, np.arange(40), ("a", "b"))


@pytest.fixture
def labeled(shared_images, finished_run):
    domain, dataset, config = open_images(str(finished_run.folder), "", "", "")
    return EvaluationData(dataset, split(dataset.index, config.holdout), domain, workers=0)


def scripted(labeled, *rights):
    models = [Model(f"m{i}", right) for i, right in enumerate(rights)]
    return evaluate_side_by_side(models, labeled, {"scripted": Scripted(Config())})[0]


@pytest.mark.parametrize(("run", "control", "gain"), [(30, 10, 0.5), (10, 30, -0.5), (20, 20, 0)])
def test_the_gain_is_the_run_minus_its_control(labeled, run, control, gain):
    found = scripted(labeled, run, control).gain
    assert found.value == pytest.approx(gain)
    assert found.low <= found.value <= found.high
    assert (found.low > 0) == (gain > 0)
    assert (found.high < 0) == (gain < 0)


def test_one_encoder_has_no_gain(labeled):
    assert scripted(labeled, 30).gain is None


def test_a_run_is_compared_with_its_untrained_encoder(finished_run):
    found = evaluate(finished_run, evaluation="knn")
    assert list(found["knn"].results) == ["tiny", "untrained", "hand-crafted"]
    assert found.shared == 0


def started_from(run, folder, init):
    """A copy of a run which says that it started from other weights."""
    copied = Run(shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("evaluations")))
    file = copied.folder / "config.toml"
    file.write_text(file.read_text().replace('init = "scratch"', f'init = "{init}"'))
    return copied


def test_a_run_is_compared_with_what_it_started_from(finished_run, tmp_path):
    run = started_from(finished_run, tmp_path / "second", finished_run.folder)
    found = evaluate(run, evaluation="knn")
    assert list(found["knn"].results) == [
        "second",
        "start (tiny)",
        "random weights",
        "hand-crafted",
    ]
    assert found["knn"].gain.value == 0  # it has the weights that it started from
    assert "over 'start (tiny)'" in repr(found)
    assert "random weights" in repr(found)
    assert "Pre-training was short" in repr(found)
    assert load_evaluations(run)[0].results.pretraining["epochs"] > 0


def test_a_start_that_is_gone_is_told_and_random_weights_take_its_place(
    finished_run, tmp_path, caplog
):
    run = started_from(finished_run, tmp_path / "second", "gone.safetensors")
    found = evaluate(run, evaluation="knn")
    assert list(found["knn"].results) == ["second", "random weights", "hand-crafted"]
    assert "started from 'gone.safetensors', which cannot be loaded" in caplog.text


def test_features_that_are_not_finite_are_refused_with_the_names(labeled):
    class Broken(Scripted):
        def evaluate(self, model, data):
            return Result.of_means({"map": np.array([np.nan, 1])}, np.arange(2), "map")

    with pytest.raises(RunError, match=r"^Evaluation 'broken' of 'm': 1 of 2 values .* are NaN"):
        evaluate_side_by_side([Model("m", 1)], labeled, {"broken": Broken(Config())})
    model = from_init("scratch", "test_resnet", 16, labeled.dataset, labeled.splits.train)
    weight = next(model.encoder.parameters())
    weight.data.fill_(np.nan)
    with pytest.raises(RunError, match=r"of \d+ features by 'untrained' are NaN or infinite"):
        embed(model, labeled.dataset, np.arange(4), labeled.domain, workers=0)


def test_no_overlap_with_the_default_split(finished_run, labeled):
    assert refuse_overlap(finished_run, labeled, allow=False) == 0


def test_an_overlap_is_refused_unless_said_aloud(finished_run, labeled):
    parts = labeled.splits
    turned = type(parts)(train=parts.test, val=parts.val, test=parts.train)
    data = EvaluationData(labeled.dataset, turned, labeled.domain)
    with pytest.raises(UsageError, match="18 groups of the test part were pre-trained on"):
        refuse_overlap(finished_run, data, allow=False)
    assert refuse_overlap(finished_run, data, allow=True) == 18


def test_groups_that_are_declared_otherwise_than_at_pretraining_are_refused(
    finished_run, shared_images, tmp_path
):
    table = tmp_path / "labels.csv"
    files = sorted(shared_images.glob("*/*.png"))
    table.write_text("path,patient\n" + "".join(f"{f},{f.stem}\n" for f in files))
    _, dataset, config = open_images(str(finished_run.folder), "", "", str(table))
    data = EvaluationData(dataset, split(dataset.index, config.holdout), domains["natural"])
    with pytest.raises(UsageError, match=r"none then, column patient of labels.csv now"):
        refuse_overlap(finished_run, data, allow=False)
    assert refuse_overlap(finished_run, data, allow=True) == 0


class OnEverything(Scripted):
    """Makes parts of its own of all images."""

    def tested(self, data):
        return np.arange(len(data.dataset))


def test_what_a_evaluation_reports_on_counts_too(finished_run, labeled):
    evaluations = [Scripted(Config()), OnEverything(Config())]
    assert refuse_overlap(finished_run, labeled, False, evaluations[:1]) == 0
    with pytest.raises(
        UsageError, match="groups that an evaluation reports on were pre-trained on"
    ):
        refuse_overlap(finished_run, labeled, False, evaluations)
    assert refuse_overlap(finished_run, labeled, True, evaluations) > 18


class Later(OnEverything):
    """Tests the later images of all groups."""

    within_groups = True

    def tested(self, data):
        return np.flatnonzero(data.dataset.index.positions[:, 0] >= 3)


@pytest.fixture
def in_time(memory_dataset, tmp_path):
    """Four groups of five images, and runs that were pre-trained on all before some time."""
    dataset = memory_dataset(
        [np.zeros((8, 8, 1), np.uint8)] * 20,
        labels=["a", "b"] * 10,
        groups=[f"g{i % 4}" for i in range(20)],
        positions=np.arange(20)[:, None] // 4,
    )

    def make(name, until):
        run = Run.create(tmp_path / name, RunConfig(domain="natural"))
        hashes = sorted(dataset.index.group_hashes())
        starts = {} if until is None else {key: [until] for key in hashes}
        run.write_json("manifest.json", {"groups": hashes, "until": starts})
        return run

    return EvaluationData(dataset, split(dataset.index, 0.5), domains["natural"]), make


def test_later_images_of_pretrained_groups_may_be_tested_within_groups_alone(in_time):
    data, run = in_time
    assert len(data.splits.test)
    assert refuse_overlap(run("early", 3.0), data, False, [Later(Config())]) == 0
    for name, until, evaluation in (("late", 4.0, Later), ("whole", None, Later)):
        with pytest.raises(UsageError, match=r"groups? (of the test part|that an evaluation)"):
            refuse_overlap(run(name, until), data, False, [evaluation(Config())])
    with pytest.raises(UsageError, match="of the test part"):
        refuse_overlap(run("other", 3.0), data, False, [Later(Config()), Scripted(Config())])


def test_of_several_runs_the_latest_time_counts(in_time):
    _, run = in_time
    early, late, whole = run("early", 1.0), run("late", 3.0), run("whole", None)
    assert set(map(tuple, until_of(early, late).values())) == {(3.0,)}
    assert until_of(early, whole) == {}


def test_the_p_value_is_that_of_the_interval_of_the_gain(labeled):
    found = scripted(labeled, 30, 10)
    assert (found.p < 0.05) == (found.gain.low > 0)
    assert scripted(labeled, 30).p is None


@pytest.mark.parametrize("labels", [[""] * 20, ["a"] * 20, ["a", "b"] * 2 + [""] * 16])
def test_labels_are_needed_to_learn_and_to_test(memory_dataset, labels):
    dataset = memory_dataset([np.zeros((8, 8, 1), np.uint8)] * 20, labels=labels)
    data = EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"])
    with pytest.raises(UsageError, match=r"An evaluation needs label|5 groups are needed"):
        data.features(None)


def test_parts_hold_labeled_images_only(memory_dataset):
    dataset = memory_dataset(
        [np.zeros((8, 8, 1), np.uint8)] * 40, labels=(["a", "b", ""] * 14)[:40]
    )
    data = EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"])
    parts = data.parts
    assert sorted(np.concatenate([parts.train, parts.val, parts.test])) == [
        i for i in range(40) if i % 3 != 2
    ]


def noisy(memory_dataset, broken=(), **columns):
    images = list(np.random.default_rng(0).integers(0, 255, (40, 16, 16, 3), dtype=np.uint8))
    for i in broken:
        images[i] = "broken"
    return memory_dataset(images, labels=["a", "b"] * 20, **columns)


def test_features_are_of_labeled_readable_images_in_three_parts(memory_dataset):
    dataset = noisy(memory_dataset, broken=(0, 1))
    parts = split(dataset.index, 0.25)
    data = EvaluationData(dataset, parts, domains["natural"], workers=0)
    model = from_init("scratch", "test_resnet", 32, dataset, parts.train)
    found = data.features(model)
    assert found.features.shape == (38, 96)
    rows = np.concatenate([found.train, found.val, found.test])
    assert sorted(rows) == list(range(38))
    assert found.classes == ("a", "b")
    assert data.features(model).features is found.features


def test_embedding_does_not_depend_on_the_company(memory_dataset):
    dataset = noisy(memory_dataset)
    model = from_init("scratch", "test_resnet", 32, dataset, np.arange(40))
    everything, _, _ = embed(model, dataset, np.arange(40), domains["natural"], workers=0)
    some, rows, _ = embed(model, dataset, np.array([7, 30]), domains["natural"], workers=0)
    np.testing.assert_allclose(some, everything[[7, 30]], atol=1e-5)
    assert rows.tolist() == [7, 30]


def test_an_unreadable_image_is_named_once_and_left_out(memory_dataset):
    dataset = noisy(memory_dataset, broken=(3, 4))
    model = from_init("scratch", "test_resnet", 32, dataset, np.arange(40))
    positions = np.arange(2, 6)
    features, rows, skipped = embed(model, dataset, positions, domains["natural"], workers=0)
    assert rows.tolist() == [2, 5]
    assert len(features) == 2
    assert skipped == [("image3", "broken"), ("image4", "broken")]


def test_the_control_is_the_same_every_time(memory_dataset):
    dataset = noisy(memory_dataset)
    one, two = (from_init("scratch", "test_resnet", 32, dataset, np.arange(40)) for _ in "ab")
    for a, b in zip(one.encoder.parameters(), two.encoder.parameters(), strict=True):
        assert (a == b).all()


@pytest.fixture
def embedded(memory_dataset):
    dataset = noisy(memory_dataset)
    data = EvaluationData(dataset, split(dataset.index, 0.25), domains["natural"], workers=0)
    return data, from_init("scratch", "test_resnet", 32, dataset, data.splits.train)


def test_fewer_labels_share_the_features(embedded, monkeypatch):
    data, model = embedded
    whole = data.features(model)
    monkeypatch.setattr(EvaluationData, "embed", None)  # nothing is embedded again
    chosen = np.concatenate([data.parts.train[:8], data.parts.val[:4]])
    few = data.limited(chosen).features(model)
    assert few.features is whole.features
    assert sorted(few.known) == sorted(chosen)
    assert (few.test == whole.test).all()


def test_features_of_fewer_labels_serve_the_whole(embedded, monkeypatch):
    data, model = embedded
    few = data.limited(data.parts.train).features(model)
    monkeypatch.setattr(EvaluationData, "embed", None)
    assert data.features(model).features is few.features


def test_few_labels_are_validated_on_only_if_two_classes_were_learned_and_validated(embedded):
    data, _ = embedded
    labels, parts = data.dataset.index.labels, data.parts
    one_of_each = [part[labels[part] == k][0] for part in (parts.train, parts.val) for k in (0, 1)]
    both = data.limited(np.array(one_of_each)).parts
    assert (len(both.train), len(both.val)) == (2, 2)
    for lacking in (one_of_each[:3], one_of_each[1:]):
        parts = data.limited(np.array(lacking)).parts
        assert (len(parts.train), len(parts.val)) == (3, 0)


def test_a_class_that_is_only_trained_on_does_not_end_the_validation(memory_dataset):
    labels = ["a", "b"] * 20 + ["rare"]
    images = [np.zeros((8, 8, 1), np.uint8)] * 41
    dataset = memory_dataset(images, labels=labels)
    data = EvaluationData(dataset, split(dataset.index, 0.25), domains["natural"])
    known = data.parts.outside_test
    assert data.limited(known).parts.val.tolist() == data.parts.val.tolist()
    assert len(data.limited(known[known != known[0]]).parts.val)


def test_all_labels_of_a_budget_are_those_of_the_whole(memory_dataset):
    parts = ["train"] * 8 + ["val"] * 4 + ["test"] * 4
    labels = ["a", "b"] * 4 + ["c", "a", "c", "b"] + ["a", "b"] * 2  # c is validated on only
    images = [np.zeros((8, 8, 1), np.uint8)] * 16
    dataset = memory_dataset(images, labels=labels, splits=parts)
    data = EvaluationData(dataset, split(dataset.index, 0), domains["natural"])
    whole = data.limited(data.parts.outside_test)
    assert whole.parts.val.tolist() == data.parts.val.tolist()
    assert whole.whole is not None  # evaluations that make parts of their own refuse it


def test_labels_of_test_images_are_not_bought(embedded):
    data, _ = embedded
    bought = data.limited(np.arange(40)).parts
    assert set(bought.train) | set(bought.val) == set(data.parts.train) | set(data.parts.val)


def test_images_can_be_altered_before_they_are_seen(embedded):
    data, model = embedded
    black = data.seen_through(A.MultiplicativeNoise((0, 0), p=1))
    features = black.features(model).features
    np.testing.assert_allclose(features, features[:1].repeat(40, axis=0), atol=1e-5)
    assert data.features(model).features.std() > 1e-3


def test_views_of_an_image_are_several_and_the_same_again(embedded):
    data, model = embedded
    first, again = (data.embed_views(model, np.arange(6), 3) for _ in "ab")
    assert first.shape == (6, 3, 96)
    assert (first == again).all()
    assert np.abs(first[:, 0] - first[:, 1]).max() > 1e-3


def test_views_of_an_unreadable_image_are_left_out(memory_dataset):
    dataset = noisy(memory_dataset, broken=(1,))
    data = EvaluationData(dataset, split(dataset.index, 0.25), domains["natural"], workers=0)
    model = from_init("scratch", "test_resnet", 32, dataset, np.arange(2, 40))
    assert data.embed_views(model, np.arange(4), 2).shape == (3, 2, 96)


def test_options_reach_their_evaluation():
    chosen = choose(["knn", "linear"], {"knn.k": 7, "linear.iterations": 3})
    assert chosen["knn"].config.k == 7
    assert chosen["linear"].config.iterations == 3


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("knn.kk=7", "Unknown key 'knn.kk'. Did you mean 'k'"),
        ("knn.k=many", "Wrong value for 'knn.k'"),
        ("knm.k=7", "'knm' is not among the evaluations asked for. Did you mean 'knn'"),
        ("knn=7", "write knn.OPTION=VALUE"),
        ("knn.k", "--set takes key=value"),
    ],
)
def test_a_wrong_option_is_a_plain_error(assignment, said):
    with pytest.raises(UsageError, match=said):
        choose(["knn"], parse_set(assignment))


def test_settings_of_the_images_reach_the_dataset():
    config = open_images("scratch", "natural", "", "", settings={"data.holdout": 0.4})[2]
    assert config.holdout == 0.4
    assert choose(["knn"], {"data.holdout": 0.4})["knn"].config.k == 20


def test_a_wrong_setting_of_the_images_is_a_plain_error():
    with pytest.raises(UsageError, match=r"Unknown key 'data\.holdot'"):
        open_images("scratch", "natural", "", "", settings={"data.holdot": 0.4})
