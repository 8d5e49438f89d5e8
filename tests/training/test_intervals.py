import numpy as np
import pytest
from scipy import stats

from ssl_kit.evaluation import Result, paired_difference
from ssl_kit.evaluation.metrics import Predictions
from ssl_kit.training.freedom import class_freedom, degrees_of_freedom
from ssl_kit.training.intervals import (
    MOST,
    Estimate,
    Jackknife,
    codes_of,
    jackknife,
    left_out,
    means,
)
from ssl_kit.training.seed_variance import pooled


def mean_of(values, groups):
    statistic, sizes = means({"accuracy": np.asarray(values, dtype=float)}, groups)
    return jackknife(statistic, sizes)["accuracy"]


def made(values, sizes=None, **more):
    values = np.atleast_2d(np.asarray(values, dtype=float))
    sizes = np.ones(values.shape[1] - 1) if sizes is None else np.asarray(sizes, dtype=float)
    return Jackknife(values, sizes, **more)


def test_groups_are_numbered_in_sorted_order():
    codes, groups = codes_of(np.array([7, -1, 7, 3]))
    assert codes.tolist() == [2, 0, 2, 1]
    assert groups == 3


def test_values_are_those_without_each_group_of_a_loop():
    rng = np.random.default_rng(0)
    values, groups = rng.random(60), rng.integers(12, size=60)
    kept = mean_of(values, groups)
    expected = [values.mean(), *(values[groups != g].mean() for g in range(12))]
    assert kept.values[0] == pytest.approx(expected)
    assert kept.sizes.tolist() == np.bincount(groups).tolist()


def test_many_groups_are_left_out_in_sets_of_equal_number():
    steps = left_out(1001)
    assert np.bincount(steps).tolist() == [3] * 201 + [2] * 199
    assert (steps == left_out(1001)).all()
    assert left_out(MOST).tolist() == list(range(MOST))


def test_interval_of_a_symmetric_mean_is_students():
    values = np.random.default_rng(0).normal(size=7)
    values = np.concatenate([values, -values]) / 10 + 0.5
    estimated = mean_of(values, np.arange(14)).estimate()
    reference = stats.ttest_1samp(values, 0).confidence_interval()
    assert (estimated.low, estimated.high) == pytest.approx(
        (reference.low, reference.high), abs=0.003
    )


def test_interval_of_many_groups_is_the_binomial_one():
    estimated = mean_of(np.arange(4000) < 3000, np.arange(4000)).estimate()
    half = 1.96 * np.sqrt(0.75 * 0.25 / 4000)
    assert estimated.value == 0.75
    assert estimated.low == pytest.approx(0.75 - half, abs=half / 8)
    assert estimated.high == pytest.approx(0.75 + half, abs=half / 8)


def test_ends_are_the_shares_that_students_test_just_accepts():
    values = 1 - np.random.default_rng(1).exponential(0.03, size=20)
    estimated = mean_of(values, np.arange(20)).estimate()
    mean = values.mean()
    observations = mean * (1 - mean) / (values.var(ddof=1) / 20)
    for end in (estimated.low, estimated.high):  # Wilson: the error is that of the end
        error = (end * (1 - end) / observations) ** 0.5
        assert abs(mean - end) / error == pytest.approx(stats.t.ppf(0.975, 19))
    assert estimated.high - mean < mean - estimated.low


def test_interval_of_a_difference_has_the_limits_of_a_difference():
    ours, theirs = np.full(12, 0.99), np.linspace(0.01, 0.03, 12)
    gain = mean_of(ours, np.arange(12)) - mean_of(theirs, np.arange(12))
    assert gain.limits == (-1, 1)
    assert gain.estimate().high < 1


def test_duplicates_in_a_group_make_the_interval_wider_than_single_images():
    right = np.repeat(np.arange(50) < 35, 9)
    single, grouped = (mean_of(right, g).estimate() for g in (np.arange(450), np.arange(450) // 9))
    assert grouped.value == single.value
    ratio = (grouped.high - grouped.low) / (single.high - single.low)
    assert ratio == pytest.approx(3, rel=0.15)  # the square root of 9


@pytest.mark.parametrize(
    ("sizes", "changes", "expected"),
    [
        (np.full(10, 7.0), np.ones(10), 9),
        (np.array([1.0, 1, 1, 1, 4]), np.ones(5), 12**2 / 68 - 1),
        (np.array([1.0, 9]), np.ones(2), 1),
        (np.full(10, 7.0), np.r_[np.ones(6), np.zeros(4)], 5),
    ],
)
def test_degrees_of_freedom(sizes, changes, expected):
    assert degrees_of_freedom(changes, sizes) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([[7] * 10 + [0] * 10, [0] * 10 + [7] * 10], 18),  # ten patients of each class
        ([[7, 7] + [0] * 28, [0, 0] + [7] * 28], (1 / 2 + 1 / 28) ** 2 / (1 / 4 + 1 / 28**2 / 27)),
        ([[7, 7, 0, 0], [0, 0, 7, 7], [0, 0, 0, 0]], 2),  # a class without images does not count
    ],
)
def test_a_class_in_few_groups_has_few_degrees_of_freedom(counts, expected):
    assert class_freedom(np.array(counts)) == pytest.approx(expected)


def test_a_mean_over_classes_is_as_uncertain_as_its_rarest_class():
    labels, groups = np.repeat([1, 0], [2, 28]), np.arange(30)
    predicted = np.where(groups % 2, labels, 1 - labels)
    found = Result.of_classification(labels, predicted, groups, ("a", "b")).jackknife
    assert found["accuracy"].most_freedom == np.inf
    most = class_freedom(np.array([labels == 0, labels == 1]))
    assert found["balanced_accuracy"].most_freedom == pytest.approx(most)
    gain = found["balanced_accuracy"] - found["balanced_accuracy"]
    assert gain.most_freedom == found["balanced_accuracy"].most_freedom
    kept = Result.of_classification(labels, predicted, groups, ("a", "b"))
    again = Result.from_arrays(kept.to_arrays()).jackknife["balanced_accuracy"]
    assert again.estimate() == found["balanced_accuracy"].estimate()
    free = Jackknife(found["balanced_accuracy"].values, np.ones(30)).estimate()
    bounded = found["balanced_accuracy"].estimate()
    assert bounded.high - bounded.low > 1.15 * (free.high - free.low)


@pytest.mark.parametrize("groups", [4, 8, 12, 40])
@pytest.mark.parametrize("gain", [0.5, -0.5, 0.05, 1.0])
def test_a_difference_that_is_the_same_in_all_groups_leaves_doubt(groups, gain):
    ours, theirs = made(np.full(groups + 1, max(gain, 0))), made(np.full(groups + 1, max(-gain, 0)))
    difference = ours - theirs
    estimated, share = difference.estimate(), 0.025 ** (1 / groups)
    assert estimated.low == pytest.approx(share * gain - (1 - share))
    assert estimated.high == pytest.approx(share * gain + (1 - share))
    assert (difference.p_value() < 0.05) == (not estimated.low <= 0 <= estimated.high)


def test_seeds_are_a_second_level():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(5, 1)) + rng.normal(size=(1, 12)) + rng.normal(size=(5, 12))
    seeds = [mean_of(row, np.arange(12)).values[0] for row in table]
    estimated = Jackknife(np.stack(seeds), np.ones(12), (-99, 99)).estimate()
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    rest = table - rows[:, None] - columns + table.mean()
    of_groups, of_seeds = columns.var(ddof=1) / 12, rows.var(ddof=1) / 5
    variance = of_groups + of_seeds - (rest**2).sum() / (4 * 11) / 60  # two-way ANOVA
    assert variance > of_groups
    freedom = variance**2 / (of_groups**2 / 11 + of_seeds**2 / 4)
    half = stats.t.ppf(0.975, freedom) * variance**0.5
    assert estimated.high - estimated.low == pytest.approx(2 * half, rel=0.01)


def test_one_seed_is_compared_with_each_of_several():
    one, several = made([0.5, 0.4, 0.6]), made([[0.3, 0.2, 0.4], [0.1, 0.1, 0.1]])
    difference = one - several
    assert difference.values.tolist() == pytest.approx(np.array([[0.2] * 3, [0.4, 0.3, 0.5]]))
    assert difference.limits == (-1, 1)


def test_perfect_answers_of_few_groups_leave_doubt():
    labels = np.arange(20) % 2
    kept = jackknife(Predictions(labels, labels, np.arange(20), ("a", "b")), np.ones(20), 20)
    estimated = kept["accuracy"].estimate()
    assert (estimated.value, estimated.high) == (1, 1)
    assert stats.binom.cdf(19, 20, estimated.low) == pytest.approx(0.975)  # Clopper and Pearson
    assert kept["kappa"].limits == (-1, 1)


def test_no_difference_is_an_interval_of_no_length():
    assert (made([0.5, 0.4, 0.6]) - made([0.5, 0.4, 0.6])).estimate() == Estimate(0, 0, 0)


@pytest.mark.parametrize("values", [[0.5], [0.5, np.nan], [0.5, 0.4, np.nan], [0.5, 0.5]])
def test_there_is_no_interval_of_one_group_or_where_one_defines_the_metric(values):
    estimated = made(values).estimate()
    assert estimated.value == 0.5
    assert np.isnan([estimated.low, estimated.high]).all()


@pytest.mark.parametrize("gain", [0.0, 0.03, 0.1, -0.5])
@pytest.mark.parametrize("seeds", [1, 4])
def test_the_p_value_is_the_level_at_which_the_interval_just_excludes_zero(
    gain, seeds, monkeypatch
):
    table = np.random.default_rng(3).normal(gain, 0.1, (seeds, 12))
    kept = made([mean_of(row, np.arange(12)).values[0] for row in table], limits=(-1, 1))
    p, quantile = kept.p_value(), stats.t.ppf
    for level, excluded in ((p * 1.001, True), (p * 0.999, False)):
        monkeypatch.setattr(stats.t, "ppf", lambda _, df, level=level: quantile(1 - level / 2, df))
        estimated = kept.estimate()
        assert (estimated.low > 0 or estimated.high < 0) == excluded


def test_the_p_value_of_two_encoders_that_differ_in_every_image_is_that_of_the_sign_test():
    ones, zeros = made([1.0] * 7), made([0.0] * 7)
    assert (ones - zeros).p_value() == pytest.approx(stats.binomtest(6, 6).pvalue)
    assert (zeros - ones).p_value() == pytest.approx(2 / 2**6)
    assert (ones - ones).p_value() == 1
    assert np.isnan((made([1.0, 1.0]) - made([0.0, 0.0])).p_value())


def test_two_seeds_alone_are_not_counted_and_pooled_ones_are():
    table = np.array([[0.5], [0.9]]) + np.random.default_rng(0).normal(0, 0.05, (2, 12))
    kept = made([mean_of(row, np.arange(12)).values[0] for row in table])
    alone = made(kept.values.mean(axis=0))
    assert not kept.seeds.counts
    assert kept.estimate() == alone.estimate()
    together = kept.estimate(pooled([kept.seeds] * 2, 2))
    assert together.low < alone.estimate().low - 0.1
    assert kept.standard_error > 5 * alone.standard_error


def drawn(rng, groups, *, skill, gain=0.3, between=0.5, own=0.3, sizes=0.0, tie=0.0, tied_gain=0.0):
    """Whether two models are right on images of groups, and the groups of the images.

    Probit models share the difficulty of a group (`between`); `own` is the deviation between groups
    of the gain. Sizes are 20 times a log-normal number of deviation `sizes`, and the difficulty and
    the gain change with its logarithm by `tie` and `tied_gain`.
    """
    log_size = rng.normal(0, sizes, groups) if sizes else np.zeros(groups)
    n = np.maximum(2, np.round(20 * np.exp(log_size))).astype(int)
    level = skill + rng.normal(0, between, groups) + tie * log_size
    gains = gain + rng.normal(0, own, groups) + tied_gain * log_size
    codes = np.repeat(np.arange(groups), n)
    shared, noise = rng.normal(size=(1, n.sum())), rng.normal(size=(2, n.sum()))
    latent = 0.8 * shared + 0.6 * noise
    return latent[0] < (level + gains)[codes], latent[1] < level[codes], codes


CASES = {
    "medium": {"skill": 0.5},
    "no effect": {"skill": 0.5, "gain": 0.0},
    "large effect": {"skill": 0.0, "gain": 1.5},
    "between groups": {"skill": 1.2, "gain": 0.2, "between": 0.8},
    "near 1": {"skill": 1.7, "between": 0.4, "own": 0.2},
    "unequal sizes": {"skill": 0.5, "sizes": 0.7},
    "sizes tied to difficulty": {"skill": 0.5, "sizes": 0.7, "tie": -0.3, "tied_gain": 0.15},
    "the same, near 1": {"skill": 1.5, "own": 0.2, "sizes": 0.7, "tie": -0.2, "tied_gain": 0.1},
}
TIMES = 2000


@pytest.mark.slow
@pytest.mark.parametrize("groups", [10, 20, 50])
@pytest.mark.parametrize("case", CASES)
def test_coverage_of_a_difference_and_of_a_metric(case, groups):
    right, control, _ = drawn(np.random.default_rng(1), 50_000, **CASES[case])
    truth = np.array([right.mean() - control.mean(), right.mean()])
    rng, covered = np.random.default_rng(0), np.zeros(2)
    for _ in range(TIMES):
        *answers, codes = drawn(rng, groups, **CASES[case])
        ours, theirs = (mean_of(answer, codes) for answer in answers)
        for n, estimated in enumerate([(ours - theirs).estimate(), ours.estimate()]):
            covered[n] += estimated.low <= truth[n] <= estimated.high
    assert (covered / TIMES > 0.92).all(), covered / TIMES  # 93 % less two standard errors
    assert (covered / TIMES < 0.98).all(), covered / TIMES  # 97 % and two standard errors


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.15, 0.4])
@pytest.mark.parametrize(("groups", "seeds"), [(10, 3), (30, 3), (30, 5)])
def test_coverage_where_a_seed_is_a_random_training(groups, seeds, spread):
    rng, covered = np.random.default_rng(0), 0
    p = stats.norm.cdf([0.8, 0.5] / np.sqrt(1 + 0.5**2 + spread**2 + 0.1**2))
    for _ in range(TIMES):
        level = np.array([0.8, 0.5])[:, None, None] + rng.normal(0, 0.5, (1, 1, groups))
        level = (
            level + rng.normal(0, spread, (2, seeds, 1)) + rng.normal(0, 0.1, (2, seeds, groups))
        )
        hits = rng.binomial(30, stats.norm.cdf(level)) / 30
        without = (hits.sum(axis=2, keepdims=True) - hits) / (groups - 1)
        values = np.concatenate([hits.mean(axis=2, keepdims=True), without], axis=2)
        ours, theirs = (Jackknife(each, np.full(groups, 30.0)) for each in values)
        estimated = (ours - theirs).estimate()
        covered += estimated.low <= p[0] - p[1] <= estimated.high
    assert 0.92 < covered / TIMES < 0.98, covered / TIMES


def scored(rng, groups):
    """Scores of two models for images of groups that have both classes."""
    codes = np.repeat(np.arange(groups), rng.integers(5, 40, groups))
    labels = rng.integers(2, size=len(codes))
    level, gain = rng.normal(0.8, 0.4, groups)[codes], rng.normal(0.3, 0.2, groups)[codes]
    shared, noise = rng.normal(size=len(codes)), rng.normal(size=(2, len(codes)))
    latent = [labels * (level + each) + 0.8 * shared + 0.6 * own
              for each, own in zip((gain, 0), noise, strict=True)]  # fmt: skip
    return labels, [stats.norm.cdf(each - 0.5) for each in latent], codes


@pytest.mark.slow
@pytest.mark.parametrize("groups", [10, 30])
def test_coverage_of_other_metrics(groups):
    names = ("auroc", "auprc", "balanced_accuracy", "macro_f1", "kappa", "sensitivity")

    def results(rng, groups):
        labels, scores, codes = scored(rng, groups)
        both = [np.stack([1 - score, score], axis=1) for score in scores]
        return [Result.of_classification(labels, each, codes, ("a", "b")) for each in both]

    truth = [r.metrics for r in results(np.random.default_rng(1), 4_000)]
    rng, times = np.random.default_rng(0), 600
    covered = {name: np.zeros(2) for name in names}
    for _ in range(times):
        ours, theirs = results(rng, groups)
        for name in names:
            gain, alone = paired_difference(ours, theirs, name), ours.metrics[name]
            value = truth[0][name].value
            covered[name] += [
                gain.low <= value - truth[1][name].value <= gain.high,
                alone.low <= value <= alone.high,
            ]
    for name, counts in covered.items():
        assert (counts / times > 0.915).all(), (name, counts / times)
        assert (counts / times < 0.985).all(), (name, counts / times)


def test_groups_on_which_both_models_agree_count():
    right = np.r_[np.ones(9), np.zeros(6)]
    other = right.copy()
    other[[0, 14]] = 0, 1  # each model is right once where the other is wrong
    ours, theirs = (mean_of(each, np.arange(15)) for each in (right, other))
    gain = (ours - theirs).estimate()
    assert gain.value == pytest.approx(0)
    half = 2.145 * (2 / 15 / 14) ** 0.5  # Student's interval with 14 degrees of freedom
    assert gain.high == pytest.approx(half, abs=0.02)
