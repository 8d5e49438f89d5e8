import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_kit import DataError, UsageError
from ssl_kit.evaluation import (
    Estimate,
    Result,
    average_results,
    choose,
    paired_difference,
    representation_metrics,
    verdict,
)
from ssl_kit.evaluation.metrics import Ranking, ScoredPredictions, calibration, operating_point
from ssl_kit.training.finite import NotFiniteError

CLASSES = ("a", "b", "c")


def make(seed=0, skill=1.0, classes=3, n=120):
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(classes, size=n), rng.integers(30, size=n)
    noise = np.random.default_rng(seed).normal(size=(n, classes))
    odds = np.exp(noise + skill * np.eye(classes)[labels])
    return labels, odds / odds.sum(axis=1, keepdims=True), groups


def result(seed=0, skill=1.0, classes=3, **more):
    labels, scores, groups = make(seed, skill, classes)
    return Result.of_classification(labels, scores, groups, CLASSES[:classes], **more)


def test_every_metric_has_a_jackknife_and_lies_in_its_interval():
    computed = result()
    assert computed.main == "accuracy"
    assert set(computed.jackknife) == set(computed.metrics)
    for name, estimate in computed.metrics.items():
        assert computed.jackknife[name].values.shape == (1, 31)
        assert estimate.low <= estimate.value <= estimate.high


def test_calibration_of_sure_and_right_answers_lies_in_its_interval():
    labels = np.arange(60) % 3
    computed = Result.of_classification(
        labels, 0.05 + 0.85 * np.eye(3)[labels], np.arange(60), CLASSES
    )
    ece = computed.metrics["ece"]
    assert ece.value == pytest.approx(0.1)
    assert ece.low <= ece.value <= ece.high
    several = [result(seed).metrics["ece"] for seed in range(5)]
    assert all(e.low < e.value < e.high for e in several)


def test_predictions_do_for_what_needs_no_scores():
    labels, scores, groups = make()
    bare = Result.of_classification(labels, scores.argmax(1), groups, CLASSES)
    full = result()
    assert bare.metrics["accuracy"] == full.metrics["accuracy"]
    assert {"auroc", "auprc", "ece"} == set(full.metrics) - set(bare.metrics)


def test_the_operating_point_is_chosen_on_the_validation_images():
    labels, scores, _ = make(7, classes=2)
    chosen = result(classes=2, validation=(labels, scores))
    default = result(classes=2)
    assert default.details["operating_point"] == {"positive": "b", "threshold": 0.5}
    threshold = operating_point(labels == 1, scores[:, 1])
    assert chosen.details["operating_point"] == {"positive": "b", "threshold": threshold}
    assert default.metrics["sensitivity"].value == pytest.approx(default.rows[1]["recall"])


def test_validation_images_of_one_class_choose_nothing():
    labels, scores, _ = make(7, classes=2)
    computed = result(classes=2, validation=(labels * 0, scores))
    assert computed.details["operating_point"]["threshold"] == 0.5


def test_difference_of_identical_results_is_exactly_zero():
    for metric in result().metrics:
        assert paired_difference(result(), result(), metric) == Estimate(0.0, 0.0, 0.0)


def test_difference_is_paired():
    right = np.random.default_rng(0).random(200) < 0.5
    better = right | (np.arange(200) % 20 == 0)
    ours, theirs = (Result.of_means({"hit": r}, np.arange(200), "hit") for r in (better, right))
    computed, alone = paired_difference(ours, theirs, "hit"), ours.metrics["hit"]
    assert computed.value == pytest.approx(better.mean() - right.mean())
    assert 0 < computed.low < computed.value < computed.high
    assert computed.high - computed.low < (alone.high - alone.low) / 2


def test_difference_changes_sign_with_the_arms():
    forward, backward = (
        paired_difference(result(a), result(b), "auroc") for a, b in ((1, 2), (2, 1))
    )
    assert (backward.value, backward.low, backward.high) == pytest.approx(
        (-forward.value, -forward.high, -forward.low)
    )


def test_without_a_jackknife_a_difference_has_no_interval():
    plain = Result({"rank": Estimate(3.0, np.nan, np.nan)})
    computed = paired_difference(plain, plain, "rank")
    assert computed.value == 0
    assert np.isnan(computed.low)
    assert verdict(computed, 30) == "no verdict"


@pytest.mark.parametrize(
    ("gain", "expected"),
    [
        (Estimate(0.1, 0.01, 0.2), "helps"),
        (Estimate(-0.1, -0.2, -0.01), "hurts"),
        (Estimate(0.1, -0.01, 0.2), "no evidence"),
        (Estimate(0.0, 0.0, 0.0), "no evidence"),
        (None, "no verdict"),
    ],
)
def test_verdict(gain, expected):
    assert verdict(gain, 6) == expected
    assert verdict(gain, 5) == "no verdict"


def test_means_weigh_rows_and_leave_out_groups():
    values, groups = np.array([1.0, 0.0, 0.0]), np.array([5, 5, 9])
    computed = Result.of_means({"map": values}, groups, "map", k=3)
    assert computed.metrics["map"].value == pytest.approx(1 / 3)
    assert computed.by_group.tolist() == [0.5, 0.0]
    assert computed.details == {"k": 3}
    assert computed.jackknife["map"].values.tolist() == [[pytest.approx(1 / 3), 0.0, 0.5]]
    assert (computed.images, computed.groups) == (3, 2)


def test_parts_are_named_by_their_setting():
    joined = Result.of_parts({"10": result(0), "50": result(1)}, main="50", seeds=3)
    assert joined.main == "accuracy@50"
    assert joined.metrics["auroc@10"] == result(0).metrics["auroc"]
    assert joined.jackknife["kappa@50"].estimate() == result(1).metrics["kappa"]
    assert (joined.images, joined.groups) == (120, 30)
    assert joined.details == {"seeds": 3}


def test_average_is_the_mean_and_its_interval_covers_the_seeds():
    several = [result(seed) for seed in range(5)]
    computed = average_results(several)
    values = [r.metrics["accuracy"].value for r in several]
    assert computed.metrics["accuracy"].value == pytest.approx(np.mean(values))
    assert computed.rows[1]["recall"] == pytest.approx(
        np.mean([r.rows[1]["recall"] for r in several])
    )
    assert computed.rows[1]["images"] == several[0].rows[1]["images"]
    assert isinstance(computed.rows[1]["images"], int)
    kept = np.concatenate([r.jackknife["accuracy"].values for r in several])
    assert (computed.jackknife["accuracy"].values == kept).all()
    one = replace(computed.jackknife["accuracy"], values=kept.mean(axis=0, keepdims=True))
    assert computed.metrics["accuracy"].low < one.estimate().low


def test_an_average_of_averages_counts_each_of_them_once():
    several = [average_results([result(seed), result(seed + 9)]) for seed in range(3)]
    assert len(average_results(several).jackknife["accuracy"].values) == 3


def test_average_of_one_changes_nothing_but_the_details():
    assert average_results([result()]).metrics == result().metrics


def test_averages_of_the_same_seeds_are_paired():
    seeds = range(4)
    same = average_results([result(s) for s in seeds])
    again = average_results([result(s) for s in seeds])
    assert paired_difference(same, again, "accuracy") == Estimate(0.0, 0.0, 0.0)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    first = result(C=0.1)
    first.save(tmp_path / "cell.npz")
    again = Result.load(tmp_path / "cell.npz")
    assert again.to_json() == first.to_json()
    assert again.metrics == first.metrics
    assert paired_difference(again, first, "auroc") == Estimate(0.0, 0.0, 0.0)
    assert (again.by_group == first.by_group).all()
    assert [dict(row) for row in again.rows] == first.rows


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_a_damaged_file_is_a_data_error(tmp_path, content):
    (tmp_path / "cell.npz").write_bytes(content)
    with pytest.raises(DataError, match="Cannot read the result"):
        Result.load(tmp_path / "cell.npz")


def test_a_result_without_rows_or_groups_is_averaged():
    plain = Result({"rank": Estimate(3.0, np.nan, np.nan)})
    other = replace(plain, metrics={"rank": Estimate(5.0, np.nan, np.nan)})
    assert average_results([plain, other]).metrics["rank"].value == 4


def test_the_draws_of_an_earlier_version_are_named_in_one_line(tmp_path):
    facts = {"metrics": {}, "draws": [], "main": "", "rows": [], "details": {}}
    np.savez(tmp_path / "cell.npz", facts=np.array(json.dumps(facts)), by_group=np.zeros(0))
    with pytest.raises(DataError, match="draws of an earlier version"):
        Result.load(tmp_path / "cell.npz")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_by_every_metric(bad):
    labels, scores, groups = make(classes=2)
    scores[3, 1] = bad
    for refused in (
        lambda: Result.of_classification(labels, scores, groups, CLASSES[:2]),
        lambda: Result.of_means({"map": scores[:, 1]}, groups, "map"),
        lambda: result(classes=2, validation=(labels, scores)),
        lambda: choose([(1, (labels, scores))]),
        lambda: Ranking(labels == 1, scores[:, 1]),
        lambda: calibration(labels, scores, groups, 30),
        lambda: operating_point(labels == 1, scores[:, 1]),
        lambda: ScoredPredictions(labels, labels, groups, CLASSES, probabilities=scores),
        lambda: representation_metrics(torch.from_numpy(scores.reshape(20, 6, 2))),
    ):
        with pytest.raises(NotFiniteError, match=r"^1 of \d+ .* NaN or infinite"):
            refused()


def test_a_sensitivity_is_chosen_on_validation_images_and_measured_on_test_images():
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.2).astype(int)
    p = (0.3 * labels + rng.random(400)) / 1.3
    scores = np.column_stack([1 - p, p])
    val, test = np.arange(200), np.arange(200, 400)
    result = Result.of_classification(
        *(labels[test], scores[test], test, ("a", "b"), (labels[val], scores[val])),
        positive="b",
        sensitivity=0.9,
    )
    point = result.details["operating_point"]
    assert point == {"positive": "b", "threshold": point["threshold"], "sensitivity": 0.9}
    called = p >= point["threshold"]
    assert called[val][labels[val] == 1].mean() >= 0.9
    estimate = result.metrics["sensitivity"]
    assert estimate.value == pytest.approx(called[test][labels[test] == 1].mean())
    assert estimate.low < estimate.value < estimate.high
    again = Result.of_classification(labels[test], scores[test], test, ("a", "b"), **point)
    assert again.details["operating_point"] == point  # of a classifier, on other images


def test_a_sensitivity_without_validation_images_is_refused():
    labels = np.array([0, 1] * 8)
    scores = np.column_stack([1 - labels, labels]).astype(float)
    with pytest.raises(UsageError, match="needs validation images of two"):
        Result.of_classification(labels, scores, np.arange(16), ("a", "b"), sensitivity=0.9)
