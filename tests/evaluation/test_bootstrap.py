import numpy as np
import pytest
from scipy import stats

from ssl_kit.evaluation.bootstrap import (
    DRAWS,
    Estimate,
    bootstrap_estimates,
    codes_of,
    estimate,
    means,
    resample,
    wilcoxon,
)
from ssl_kit.evaluation.metrics import Predictions


def mean_of(right, groups):
    statistic, g = means({"accuracy": np.asarray(right, dtype=float)}, groups)
    return bootstrap_estimates(statistic, g)[0]["accuracy"]


def test_groups_are_numbered_in_sorted_order():
    codes, groups = codes_of(np.array([7, -1, 7, 3]))
    assert codes.tolist() == [2, 0, 2, 1]
    assert groups == 3


def test_every_draw_has_as_many_groups_as_there_are():
    weights = np.concatenate(list(resample(30, 0, draws=50)), axis=1)
    assert weights.shape == (30, 50)
    assert (weights.sum(axis=0) == 30).all()


def test_draws_depend_on_the_seed_and_the_number_of_groups_alone():
    def drawn(rows, seed):
        return np.concatenate(list(resample(40, rows, 300, seed)), axis=1)

    assert (drawn(0, 0) == drawn(0, 0)).all()
    assert (drawn(0, 0) == drawn(10**6, 0)).all()  # other blocks, the same draws
    assert (drawn(0, 0) != drawn(0, 1)).any()


def test_a_group_is_drawn_like_any_other():
    counts = np.concatenate(list(resample(20, 0, 2000)), axis=1)
    assert counts.mean(axis=1) == pytest.approx(np.ones(20), abs=0.1)
    assert counts.var() == pytest.approx(1 - 1 / 20, abs=0.03)  # binomial


def test_interval_of_a_share_is_the_binomial_one():
    estimated = mean_of(np.arange(400) < 300, np.arange(400))
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert estimated.value == 0.75
    assert estimated.low == pytest.approx(0.75 - half, abs=0.005)
    assert estimated.high == pytest.approx(0.75 + half, abs=0.005)


def test_interval_of_a_mean_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(size=80)
    reference = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(1)
    ).confidence_interval
    estimated = mean_of(values, np.arange(80))
    assert (estimated.low, estimated.high) == pytest.approx(
        (reference.low, reference.high), abs=0.02
    )


def test_interval_covers_the_truth_about_95_times_of_100():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(100):
        estimated = mean_of(rng.random(100) < 0.7, np.arange(100))
        covered += estimated.low <= 0.7 <= estimated.high
    assert 88 <= covered <= 99


def test_duplicates_in_a_group_make_the_interval_wider_than_single_images():
    right = np.repeat(np.arange(50) < 35, 9)
    single, grouped = mean_of(right, np.arange(450)), mean_of(right, np.arange(450) // 9)
    ratio = (grouped.high - grouped.low) / (single.high - single.low)
    assert grouped.value == single.value
    assert ratio == pytest.approx(3, rel=0.15)  # the square root of 9


def test_draws_of_uneven_groups_agree_with_a_loop():
    rng = np.random.default_rng(0)
    values, groups = rng.random(60), rng.integers(12, size=60)
    statistic, g = means({"m": values}, groups)
    _, draws = bootstrap_estimates(statistic, g)
    weights = np.concatenate(list(resample(g, 0)), axis=1)
    for r in (0, 1, DRAWS - 1):
        drawn = [values[groups == name] for name, w in zip(range(12), weights[:, r], strict=True)
                 for _ in range(int(w))]  # fmt: skip
        assert draws["m"][r] == pytest.approx(np.concatenate(drawn).mean())


def test_perfect_answers_leave_no_doubt():
    labels = np.arange(20) % 2
    predictions = Predictions(labels, labels, np.arange(20), ("a", "b"))
    estimated, _ = bootstrap_estimates(predictions, 20)
    assert estimated["accuracy"] == Estimate(1.0, 1.0, 1.0)


def test_draws_that_are_not_defined_are_left_out_of_the_interval():
    assert estimate(0.5, np.array([np.nan, 0.4, 0.6])).low == pytest.approx(0.405)
    assert np.isnan(estimate(0.5, np.full(3, np.nan)).low)


def test_wilcoxon_agrees_with_scipy_and_with_no_difference():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 30))
    assert wilcoxon(first, second) == stats.wilcoxon(first - second).pvalue
    assert wilcoxon(first, first) == 1.0
