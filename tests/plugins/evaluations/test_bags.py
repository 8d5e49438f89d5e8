import csv
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, f1_score, roc_auc_score

from ssl_kit import Index, RunError, UsageError
from ssl_kit.core.discovery import domains
from ssl_kit.data.splits import split
from ssl_kit.evaluation import EvaluationData
from ssl_kit.plugins.evaluations import bags as module
from ssl_kit.plugins.evaluations.bag_training import BagsConfig, BagTraining
from ssl_kit.plugins.evaluations.bags import Bags, _slides

MODEL = SimpleNamespace(name="encoder")
WIDTH = 6
PARTS = ["train"] * 60 + ["val"] * 20 + ["test"] * 40


@dataclass(frozen=True)
class Embedded(EvaluationData):
    """Images whose features are there already."""

    stored: np.ndarray | None = None
    embedded: list = field(default_factory=list)

    def embed(self, model, positions):
        self.embedded.append(positions)
        return self.stored[positions], positions


@pytest.fixture
def problem(memory_dataset):
    """Makes 120 bags of some of the images of a grid; `plant` alters the features of one bag."""

    def make(plant, labels=None, side=5, least=15):
        rng = np.random.default_rng(0)
        labels = np.arange(len(PARTS)) % 2 if labels is None else labels
        features, places, bag = [], [], []
        for number, label in enumerate(labels):
            chosen = rng.permutation(side * side)[: rng.integers(least, side * side + 1)]
            features.append(rng.normal(size=(len(chosen), WIDTH)).astype(np.float32))
            places.append(np.stack(np.divmod(chosen, side), axis=1))
            bag += [number] * len(chosen)
            plant(features[-1], places[-1], label, rng)
        bag, features = np.array(bag), np.concatenate(features)
        dataset = memory_dataset(
            [np.zeros((8, 8, 3), np.uint8)] * len(bag),
            labels=["abcd"[labels[b]] if labels[b] >= 0 else "" for b in bag],
            groups=[f"bag{b:03}" for b in bag],
            splits=[PARTS[b] for b in bag],
            positions=np.concatenate(places),
        )
        splits = split(dataset.index, 0.2)
        return Embedded(dataset, splits, domains["natural"], stored=features)

    return make


def nothing(features, places, label, rng):
    pass


def one_image(features, places, label, rng):
    """Bags of class 1 have one image that is like no other."""
    features[2, 0] += 5 * label


def a_nest(features, places, label, rng):
    """Three odd images in each bag: side by side in class 1, apart in class 0."""
    gaps = np.zeros(1)
    while not (max(gaps) == 1 if label else min(gaps) > 2):
        at = rng.choice(len(places), 3, replace=False)
        gaps = np.abs(places[at] - places[np.roll(at, 1)]).max(axis=1)
    features[at, 0] += 8


def evaluate(data, **options):
    return Bags(BagsConfig(**{"lr": 3e-3, "epochs": 40, "hidden": 32, **options})).evaluate(
        MODEL, data
    )


def area(found):
    return found.metrics["auroc"].value


def test_one_image_of_a_bag_is_found_by_attention_and_maximum_better_than_by_mean(problem):
    areas = {p: area(evaluate(problem(one_image), pooling=p)) for p in ("mean", "max", "attention")}
    assert areas["attention"] > 0.95
    assert areas["max"] > 0.95
    assert areas["mean"] < 0.9


def test_what_lies_side_by_side_is_found_by_a_graph_alone(problem):
    data = problem(a_nest, side=7, least=49)
    assert area(evaluate(data, pooling="graph")) > 0.9
    for pooling in ("mean", "attention"):
        assert area(evaluate(data, pooling=pooling)) < 0.7


@pytest.mark.parametrize("pooling", ["max", "attention"])
def test_saliency_peaks_at_the_planted_image(problem, tmp_path, pooling):
    data = problem(one_image)
    evaluate(data, pooling=pooling, maps=str(tmp_path))
    folder = tmp_path / f"encoder-{pooling}"
    with (folder / "saliency.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["label"] == row["prediction"] == "b"]
    index = data.dataset.index
    keys = [index.key(i) for i in range(len(index))]
    bags = {row["bag"]: [] for row in rows}
    for row in rows:
        bags[row["bag"]].append((float(row["saliency"]), keys.index(row["image"])))
    first = np.searchsorted(index.groups, np.arange(len(PARTS)))
    found = [i - first[index.groups[i]] for _, i in map(max, bags.values())]
    assert np.mean(np.array(found) == 2) > 0.9
    assert {file.stem for file in folder.glob("*.png")} == index.group_hashes(data.parts.test)


def test_metrics_are_those_of_scikit_learn_over_bags(problem, monkeypatch):
    labels = np.arange(len(PARTS)) % 4
    said = np.random.default_rng(1).dirichlet(np.ones(4), 40)
    data = problem(nothing, labels)
    predict = BagTraining.predict
    monkeypatch.setattr(
        BagTraining, "predict", lambda fit, bags: said if len(bags) == 40 else predict(fit, bags)
    )
    found = evaluate(data, classes_order=tuple("abcd"), epochs=1)
    truth, predicted = labels[80:], said.argmax(axis=1)
    expected = {
        "accuracy": (truth == predicted).mean(),
        "balanced_accuracy": balanced_accuracy_score(truth, predicted),
        "macro_f1": f1_score(truth, predicted, average="macro"),
        "auroc": roc_auc_score(truth, said, multi_class="ovr"),
        "quadratic_kappa": cohen_kappa_score(truth, predicted, weights="quadratic"),
    }
    for name, value in expected.items():
        assert found.metrics[name].value == pytest.approx(value), name
    assert len(found.by_group) == 40
    assert found.details["bags"] == {"train": 60, "val": 20, "test": 40}


def test_predictions_are_of_bags(problem):
    assert evaluate(problem(one_image), epochs=1).unit == "bag"


def test_kappa_of_grades_is_left_out_where_classes_have_no_order(problem):
    assert "quadratic_kappa" not in evaluate(problem(nothing), epochs=1).metrics


def test_labels_of_test_bags_change_no_answer(problem):
    labels = np.arange(len(PARTS)) % 2
    shuffled = np.concatenate([labels[:80], np.random.default_rng(0).permutation(labels[80:])])
    data, other = problem(one_image), problem(one_image)
    other.dataset.index.labels[:] = shuffled[other.dataset.index.groups]
    first, second = evaluate(data), evaluate(other)
    assert first.details["epochs"] == second.details["epochs"]
    columns = [np.sum(found.details["confusion"], axis=0).tolist() for found in (first, second)]
    assert columns[0] == columns[1]
    assert abs(area(second) - 0.5) < 0.2 < area(first) - 0.5


def test_images_are_embedded_once(problem):
    data = problem(nothing)
    evaluate(data, epochs=1)
    assert len(data.embedded) == 1


def test_bags_without_label_are_left_out(problem):
    labels = np.where(np.arange(len(PARTS)) % 3 == 0, -1, np.arange(len(PARTS)) % 2)
    found = evaluate(problem(one_image, labels), epochs=1)
    assert sum(found.details["bags"].values()) == (labels >= 0).sum()


def test_the_rarer_class_of_bags_is_positive_at_every_label_budget(problem):
    labels = np.arange(len(PARTS)) % 3 // 2  # a third of the bags are of class b
    data = problem(nothing, labels)
    groups = data.dataset.index.groups
    few = data.limited(np.flatnonzero(np.isin(groups, [0, 2, 5, 8])))  # one bag of class a
    whole, drawn = evaluate(data, epochs=1), evaluate(few, epochs=1)
    assert drawn.details["bags"]["train"] == 4
    assert (whole.positive, drawn.positive) == ("b", "b")


def test_without_validation_bags_all_epochs_are_taken(problem):
    data = problem(one_image)
    splits = replace(data.splits, val=data.splits.val[:0])
    found = evaluate(replace(data, splits=splits), epochs=7)
    assert found.details["epochs"] == 7
    assert found.details["bags"]["val"] == 0


def test_training_ends_early_where_it_only_gets_worse(problem, monkeypatch):
    seen = []
    predict = BagTraining.predict
    monkeypatch.setattr(
        BagTraining, "predict", lambda fit, bags: seen.append(len(bags)) or predict(fit, bags)
    )
    found = evaluate(problem(nothing), epochs=500, lr=1e-2)
    assert seen.count(20) == found.details["epochs"] + module._PATIENCE < 100


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda places: places[:, :0], "no whole rows and columns"),
        (lambda places: places / 2, "no whole rows and columns"),
        (lambda places: places * 0, "120 bags hold several images at one position"),
        (lambda places: places * 2, "No two images of a bag"),
    ],
)
def test_a_graph_needs_images_side_by_side(problem, change, said):
    data = problem(nothing)
    data.dataset.index = replace(data.dataset.index, positions=change(data.dataset.index.positions))
    with pytest.raises(UsageError, match=said):
        evaluate(data, pooling="graph")
    assert not data.embedded


def test_a_bag_of_several_labels_is_a_plain_error(problem):
    data = problem(nothing)
    data.dataset.index.labels[:3] = 1
    with pytest.raises(UsageError, match="1 of 120 bags holds images of several labels"):
        evaluate(data)


def test_a_loss_that_is_not_finite_is_a_plain_error(problem):
    with pytest.raises(RunError, match=r"became (nan|inf)\. Lower bags\.lr"):
        evaluate(problem(nothing), epochs=3, lr=1e30)


def test_features_that_are_not_finite_are_counted(problem):
    data = problem(nothing)
    data.stored[0] = np.inf
    with pytest.raises(RunError, match=r"^1 of 2459 features by 'encoder' are NaN or infinite"):
        evaluate(data, epochs=1)


def test_a_patient_with_two_slides_has_a_picture_of_each():
    keys = ["a/s 1.svs#0,0", "a/s 1.svs#0,1", "s2.svs#0,0"]
    index = Index.build(keys, groups=["p"] * 3, positions=[[0, 0], [0, 1], [0, 0]])
    slides = [(name, rows.tolist()) for name, rows in _slides(index, np.arange(3))]
    assert slides == [("a/s 1.svs", [0, 1]), ("s2.svs", [2])]


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (["t/slide_3_12.png", "t/slide_3_14.png"], "t/slide_3"),
        (["slide7/1.png", "slide7/2.png"], "slide7"),
        (["1.png", "2.png"], "images"),
    ],
)
def test_a_slide_of_patches_is_called_as_their_names_begin(keys, name):
    index = Index.build(keys, groups=["g"] * 2, positions=[[0, 0], [0, 1]])
    assert _slides(index, np.arange(2))[0][0] == name


def test_it_is_said_where_the_maps_are(problem, tmp_path):
    found = evaluate(problem(nothing), epochs=1, maps=str(tmp_path))
    [remark] = found.details["remarks"]
    assert f"of 40 test bags is in '{tmp_path}'" in remark
    assert "saliency.csv and 40 pictures" in remark
