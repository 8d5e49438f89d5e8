import numpy as np
import pytest

from ssl_kit import UnknownNameError, UsageError
from ssl_kit.core.discovery import domains
from ssl_kit.data.splits import split
from ssl_kit.evaluation import EvaluationData, average_results, draw_labels
from ssl_kit.plugins.evaluations.few_labels import FewLabels, FewLabelsConfig
from ssl_kit.plugins.evaluations.knn import KNN, KNNConfig
from ssl_kit.plugins.evaluations.label_fractions import LabelFractions, LabelFractionsConfig

MODEL = object()


@pytest.fixture
def data(memory_dataset):
    """120 images in 60 groups, whose features know something of their class."""
    labels = np.arange(60).repeat(2) % 3
    dataset = memory_dataset(
        [np.zeros((8, 8, 1), np.uint8)] * 120,
        labels=["abc"[k] for k in labels],
        groups=[f"g{i // 2}" for i in range(120)],
    )
    features = np.random.default_rng(0).normal(size=(120, 8)) + np.eye(8)[labels]
    found = EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"])
    found._embedded[id(MODEL)] = (MODEL, features.astype(np.float32), np.arange(120))
    return found


def test_each_count_is_the_average_of_its_draws(data):
    config = FewLabelsConfig(counts=(3, 9), repeats=2, evaluation="knn", options={"k": 3})
    found = FewLabels(config).evaluate(MODEL, data)
    index, known = data.dataset.index, np.concatenate([data.parts.train, data.parts.val])
    for count in (3, 9):
        draws = [draw_labels(index, known, count, seed) for seed in (0, 1)]
        results = [KNN(KNNConfig(k=3)).evaluate(MODEL, data.limited(d)) for d in draws]
        expected = average_results(results)
        assert found.metrics[f"accuracy@{count}"] == expected.metrics["accuracy"]
    assert found.main == "accuracy@3"
    assert found.details["labels"] == {"3": 9.0, "9": 27.0}


def test_more_labels_do_better(data):
    config = FewLabelsConfig(counts=(1, 30), repeats=5, evaluation="linear")
    found = FewLabels(config).evaluate(MODEL, data).metrics
    assert found["accuracy@30"].value > found["accuracy@1"].value


def test_fractions_are_of_groups(data):
    config = LabelFractionsConfig(fractions=(0.01, 0.5, 1.0), repeats=2, evaluation="knn")
    found = LabelFractions(config).evaluate(MODEL, data)
    assert found.main == "accuracy@1%"
    assert found.details["labels"] == {"1%": 6.0, "50%": 48.0, "100%": 96.0}


def test_all_labels_are_drawn_once_and_do_as_the_evaluation_alone(data):
    config = LabelFractionsConfig(fractions=(1.0,), evaluation="knn")
    found = LabelFractions(config).evaluate(MODEL, data)
    alone = KNN(KNNConfig()).evaluate(MODEL, data)
    assert found.metrics["accuracy@100%"] == alone.metrics["accuracy"]


@pytest.mark.parametrize(
    ("evaluation", "place"),
    [
        (LabelFractions(LabelFractionsConfig(fractions=(0.1, 1.0), evaluation="knn")), "10%"),
        (FewLabels(FewLabelsConfig(counts=(3,), evaluation="knn")), "3"),
    ],
)
def test_a_draw_that_cannot_be_used_is_named(data, monkeypatch, evaluation, place):
    checked = []

    def check(self, data):
        checked.append(data)
        if len(checked) == 4:  # all labels twice, then the first draw
            raise UsageError("It has one class.")

    monkeypatch.setattr(KNN, "check", check)
    with pytest.raises(UsageError, match=f"Budget {place}, draw 2: It has one class. Choose a l"):
        evaluation.check(data)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"evaluation": "lineer"}, UnknownNameError, "lineer"),
        ({"evaluation": "knn", "options": {"kk": 1}}, UsageError, "Unknown key 'options.kk'"),
    ],
)
def test_a_wrong_evaluation_or_option_is_a_plain_error(data, options, error, said):
    with pytest.raises(error, match=said):
        FewLabels(FewLabelsConfig(**options)).evaluate(MODEL, data)
