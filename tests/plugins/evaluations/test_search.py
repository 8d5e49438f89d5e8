from dataclasses import replace

import numpy as np
import pytest

from ssl_kit import UsageError
from ssl_kit.core.discovery import domains
from ssl_kit.data.splits import split
from ssl_kit.evaluation import EvaluationData
from ssl_kit.plugins.evaluations.knn import KNN, KNNConfig
from ssl_kit.plugins.evaluations.search import Search, SearchConfig

MODEL = object()


@pytest.fixture
def data(memory_dataset):
    """Images whose features are noisy, so that the number of neighbors matters."""
    labels = np.arange(150) % 3
    dataset = memory_dataset(
        [np.zeros((8, 8, 1), np.uint8)] * 150,
        labels=["abc"[k] for k in labels],
        groups=[f"g{i}" for i in range(150)],
    )
    features = np.random.default_rng(0).normal(size=(150, 8)) + np.eye(8)[labels]
    found = EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"])
    found._embedded[id(MODEL)] = (MODEL, features.astype(np.float32), np.arange(150))
    return found


def search(**options):
    return Search(SearchConfig(evaluation="knn", **options))


def judged(data, **options):
    """Accuracy on the validation part after learning from the training part alone."""
    splits = replace(data.splits, val=data.splits.val[:0], test=data.splits.val)
    result = KNN(KNNConfig(**options)).evaluate(MODEL, replace(data, splits=splits))
    return result.metrics["accuracy"].value


def test_the_best_on_the_validation_part_is_tested_once(data):
    result = search(space={"k": [1, 5, 40]}).evaluate(MODEL, data)
    best = max((1, 5, 40), key=lambda k: judged(data, k=k))
    assert result.details["settings"] == {"k": best}
    assert result.metrics == KNN(KNNConfig(k=best)).evaluate(MODEL, data).metrics


def test_what_was_tried_is_kept(data):
    result = search(space={"k": [1, 40]}, options={"temperature": 0.2}).evaluate(MODEL, data)
    expected = [{"k": k, "validation": judged(data, k=k, temperature=0.2)} for k in (1, 40)]
    assert result.details["tried"] == expected


def test_labels_of_the_test_part_choose_nothing(data):
    index = data.dataset.index
    labels = index.labels.copy()
    labels[data.splits.test] = (labels[data.splits.test] + 1) % 3
    data.dataset.index = replace(index, labels=labels)
    shuffled = search(space={"k": [1, 5, 40]}).evaluate(MODEL, data)
    data.dataset.index = index
    assert (
        shuffled.details["tried"]
        == (search(space={"k": [1, 5, 40]}).evaluate(MODEL, data).details["tried"])
    )


def test_a_large_space_is_drawn_from(data):
    result = search(space={"k": [*range(1, 31)]}, trials=4).evaluate(MODEL, data)
    assert len({row["k"] for row in result.details["tried"]}) == 4


def test_without_a_validation_part_settings_stay_as_they_are(data):
    none = replace(data, splits=replace(data.splits, val=data.splits.val[:0]))
    result = search(space={"k": [1, 5]}, options={"k": 7}).evaluate(MODEL, none)
    assert result.metrics == KNN(KNNConfig(k=7)).evaluate(MODEL, none).metrics


def test_a_sensitivity_is_of_the_final_evaluation_alone(data):
    index = data.dataset.index
    data.dataset.index = replace(index, labels=index.labels // 2, classes=("a", "b"))
    options = {"sensitivity": 0.9}
    result = search(space={"k": [1, 40]}, options=options).evaluate(MODEL, data)
    assert result.sensitivity == 0.9
    assert len(result.details["tried"]) == 2


@pytest.mark.parametrize("space", [{}, {"k": []}])
def test_an_empty_space_is_refused(data, space):
    with pytest.raises(UsageError, match="at least one option"):
        search(space=space).check(data)


def test_a_wrong_option_names_the_nearest_right_one(data):
    with pytest.raises(UsageError, match="temperature"):
        search(space={"temperatur": [0.1]}).check(data)
