"""Unreadable images of evaluations are counted, warned of once, and refused if they are many."""

import albumentations as A
import numpy as np
import pytest

from ssl_kit import DataError, evaluate
from ssl_kit.core.discovery import domains
from ssl_kit.core.view import View
from ssl_kit.data.splits import split
from ssl_kit.evaluation import EvaluationData, measure_statistics, training_views
from ssl_kit.evaluation.pretrained import from_init
from ssl_kit.evaluation.tuning.judge import LabeledJudge, LabelFreeJudge


@pytest.fixture
def broken(memory_dataset):
    images = list(np.random.default_rng(0).integers(0, 255, (40, 16, 16, 3), dtype=np.uint8))
    for i in (0, 1, 2, 3):
        images[i] = "cut off"
    dataset = memory_dataset(images, labels=["a", "b"] * 20)

    def make(**options):
        parts = split(dataset.index, 0.25)
        return EvaluationData(dataset, parts, domains["natural"], workers=0, **options)

    return make


def model_of(data, seed=0):
    pool = np.arange(4, 40)
    return from_init("scratch", "test_resnet", 32, data.dataset, pool, seed)


def warnings_in(caplog):
    return [text for text in caplog.messages if "unreadable" in text]


FOUR = "4 of 40 images are unreadable and are left out; the first: 'image0': cut off."


def test_they_are_warned_of_once_for_all_encoders_and_changes_of_the_images(broken, caplog):
    data = broken()
    model = model_of(data)
    data.features(model)
    data.features(model_of(data, 1))
    data.limited(data.parts.train).embed_views(model, np.arange(6), 2)
    data.seen_through(A.MultiplicativeNoise((1, 1))).embed(model, np.arange(6))
    assert warnings_in(caplog) == [FOUR]


def test_more_than_max_skip_are_refused(broken):
    data = broken(max_skip=0.05)
    match = r"^4 of 40 images are unreadable, more than data.max_skip 0.05 allows; the first: 'im"
    with pytest.raises(DataError, match=match):
        data.features(model_of(data))
    broken(max_skip=0.1).features(model_of(data))


def test_a_share_is_of_all_labeled_images_whichever_are_read_first(broken, caplog):
    data = broken(max_skip=0.05)
    data.embed(model_of(data), np.array([2, 3, 4, 5]))  # 2 of 4, but of 40 labeled ones
    assert warnings_in(caplog)[0].startswith("2 of 40 images are unreadable")


def test_those_of_stored_features_count_too(broken, tmp_path, caplog):
    data = broken(store=tmp_path)
    data.features(model_of(data))
    caplog.clear()
    again = broken(store=tmp_path)
    again.features(model_of(again))
    assert warnings_in(caplog) == [FOUR]


def test_features_are_stored_anew_when_images_are_repaired(broken, tmp_path):
    data = broken(store=tmp_path)
    assert len(data.features(model_of(data)).features) == 36
    data.dataset.images[0] = data.dataset.images[9]
    assert len(broken(store=tmp_path).features(model_of(data)).features) == 37


def test_those_that_are_trained_on_count_with_those_that_are_predicted(broken, caplog):
    data = broken()
    model, views = model_of(data), [View(32)]
    batches = training_views(model, data, np.arange(2, 40), views, 38)
    assert sorted(next(batches)[1]) == list(range(4, 40))
    assert not warnings_in(caplog)
    data.embed(model, np.arange(10, 20))
    assert [text[:10] for text in warnings_in(caplog)] == ["2 of 40 im"]
    with pytest.raises(DataError, match=r"data\.max_skip"):
        next(training_views(model, broken(max_skip=0.01), np.arange(40), views, 40))


def test_those_that_statistics_are_measured_on_count_too(broken):
    data, noted = broken(), []
    measure_statistics(
        model_of(data), data.dataset, np.arange(40), data.domain, lambda s, _: noted.extend(s)
    )
    assert dict(noted) == {f"image{i}": "cut off" for i in range(4)}


def test_evaluate_stops_where_training_would(image_folder):
    file = image_folder / "disc" / "0.png"
    file.write_bytes(file.read_bytes()[:50])
    images = {"domain": "natural", "data": image_folder, "encoder": "test_resnet", "image_size": 32}
    with pytest.raises(DataError, match=r"1 of 30 images are unreadable, more than data.max_skip"):
        evaluate("scratch", evaluation="knn", **images)
    found = evaluate("scratch", evaluation="knn", **images, set={"data.max_skip": 0.1})
    assert found["knn"].first.metrics["accuracy"].value >= 0


@pytest.mark.parametrize("kind", [LabeledJudge, LabelFreeJudge])
def test_the_judge_of_a_search_warns_once_and_refuses_too_many(broken, caplog, kind):
    data = broken()
    images = data.parts if kind is LabeledJudge else np.arange(40)
    judge, strict = (kind.of(data.dataset, images, data.domain, 0, most) for most in (1.0, 0.01))
    for seed in (0, 1):
        judge(model_of(data, seed))
    assert len(warnings_in(caplog)) == 1
    with pytest.raises(DataError, match=r"than data.max_skip 0.01 allows; the first: 'image"):
        strict(model_of(data))
