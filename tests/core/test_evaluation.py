import numpy as np
import pytest

from ssl_kit import Estimate, Evaluation, EvaluationData, Result, UsageError, confusion_by_group
from ssl_kit.commands.actions import data_of, evaluate
from ssl_kit.core.config import Config
from ssl_kit.core.discovery import domains
from ssl_kit.core.evaluation import compare, refuse_overlap
from ssl_kit.core.pretrained import embed, from_init
from ssl_kit.core.splits import split


class Model:
    def __init__(self, name, right):
        self.name, self.right = name, right


class Scripted(Evaluation):
    """Counts what the model is said to predict right of 40 images."""

    def evaluate(self, model, data):
        labels = np.arange(40) % 2
        predictions = np.where(np.arange(40) < model.right, labels, 1 - labels)
        counts = confusion_by_group(labels, predictions, np.arange(40), 2)
        return Result({"accuracy": Estimate(model.right / 40, 0, 1)}, [], counts)


@pytest.fixture
def labelled(shared_images, finished_run):
    domain, dataset, config = data_of(str(finished_run.folder), "", "", "")
    return EvaluationData(dataset, split(dataset.index, config.holdout), domain, workers=0)


def scripted(labelled, *rights):
    models = [Model(f"m{i}", right) for i, right in enumerate(rights)]
    return compare(models, labelled, {"scripted": Scripted(Config())})[0]


@pytest.mark.parametrize(("run", "control", "gain"), [(30, 10, 0.5), (10, 30, -0.5), (20, 20, 0)])
def test_the_gain_is_the_run_minus_its_control(labelled, run, control, gain):
    found = scripted(labelled, run, control).gain
    assert found.value == pytest.approx(gain)
    assert found.low <= found.value <= found.high
    assert (found.low > 0) == (gain > 0)
    assert (found.high < 0) == (gain < 0)


def test_one_encoder_has_no_gain(labelled):
    assert scripted(labelled, 30).gain is None


def test_a_run_is_compared_with_its_untrained_encoder(finished_run):
    comparisons, shared = evaluate(str(finished_run.folder), ["knn"])
    assert list(comparisons[0].results) == ["tiny", "untrained"]
    assert shared == 0


def test_no_overlap_with_the_default_split(finished_run, labelled):
    assert refuse_overlap(finished_run, labelled, allow=False) == 0


def test_an_overlap_is_refused_unless_said_aloud(finished_run, labelled):
    parts = labelled.splits
    turned = type(parts)(train=parts.test, val=parts.val, test=parts.train)
    data = EvaluationData(labelled.dataset, turned, labelled.domain)
    with pytest.raises(UsageError, match="18 groups of the test part were pre-trained on"):
        refuse_overlap(finished_run, data, allow=False)
    assert refuse_overlap(finished_run, data, allow=True) == 18


def test_labels_are_needed_to_learn_and_to_test(memory_dataset):
    images = [np.zeros((8, 8, 1), np.uint8)] * 20
    for labels in ([""] * 20, ["a"] * 20, ["a", "b"] * 2 + [""] * 16):
        dataset = memory_dataset(images, labels=labels)
        parts = split(dataset.index, 0.2)
        if len(parts.test):
            continue
        with pytest.raises(UsageError, match="needs labelled images"):
            EvaluationData(dataset, parts, domains["natural"])


def noisy(memory_dataset, broken=(), **columns):
    images = list(np.random.default_rng(0).integers(0, 255, (40, 16, 16, 3), dtype=np.uint8))
    for i in broken:
        images[i] = "broken"
    return memory_dataset(images, labels=["a", "b"] * 20, **columns)


def test_features_are_of_labelled_readable_images_in_three_parts(memory_dataset):
    dataset = noisy(memory_dataset, broken=(0, 1))
    parts = split(dataset.index, 0.25)
    data = EvaluationData(dataset, parts, domains["natural"], workers=0)
    model = from_init("scratch", "test_resnet", 32, dataset, parts.train)
    found = data.features(model)
    assert found.features.shape == (38, 96)
    rows = np.concatenate([found.train, found.val, found.test])
    assert sorted(rows) == list(range(38))
    assert found.classes == ("a", "b")
    assert data.features(model) is found


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
