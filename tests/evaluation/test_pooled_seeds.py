"""The variance of seeds, pooled over the arms of a comparison."""

import numpy as np
import pytest

from ssl_kit.evaluation import Jackknife, PooledSeeds, Result, paired_difference, paired_p_value

GROUPS = 12


def arm(table):
    """The result of an arm from its accuracy in each group (S, G)."""
    whole = table.mean(axis=1, keepdims=True)
    without = (GROUPS * whole - table) / (GROUPS - 1)
    kept = Jackknife(np.concatenate([whole, without], axis=1), np.ones(GROUPS))
    metrics = {"accuracy": kept.estimate()}
    return Result(metrics, {"accuracy": kept}, "accuracy", by_group=table.mean(axis=0))


def arms(count, seeds, of_seed=0.1, seed=0):
    rng = np.random.default_rng(seed)
    tables = 0.5 + of_seed * rng.normal(size=(count, seeds, 1))
    return tables + 0.05 * rng.normal(size=(count, seeds, GROUPS))


def residual_variance(table):
    """The variance of the residuals of a two-way analysis of variance without replication."""
    rows, columns = table.shape
    total = 0.0
    for r in range(rows):
        for c in range(columns):
            total += (table[r, c] - table[r].mean() - table[:, c].mean() + table.mean()) ** 2
    return total / ((rows - 1) * (columns - 1))


def test_differences_have_the_residual_variance_of_arms_and_seeds():
    tables = arms(4, 3)
    results = [arm(table) for table in tables]
    found = PooledSeeds(results).of_difference(*results[:2], "accuracy")
    assert found.total == pytest.approx(2 * residual_variance(tables.mean(axis=2)) / 3)
    assert found.freedom == 3 * 2
    assert 0 < found.excess < found.total


def test_an_arm_has_the_mean_variance_of_all_arms():
    tables = arms(4, 3)
    found = PooledSeeds([arm(table) for table in tables]).of_arm("accuracy")
    assert found.total == pytest.approx(np.mean(tables.mean(axis=2).var(axis=1, ddof=1)) / 3)
    assert found.freedom == 4 * 2


def test_two_seeds_of_two_arms_are_taken_as_unpaired():
    results = [arm(table) for table in arms(2, 2)]
    pooled = PooledSeeds(results)
    found = pooled.of_difference(*results, "accuracy")
    assert found.total == pytest.approx(2 * pooled.of_arm("accuracy").total)
    assert (found.freedom, found.counts) == (2, True)


def test_an_arm_without_seeds_adds_nothing_to_a_difference():
    several, single = [arm(table) for table in arms(3, 3)], arm(arms(1, 1)[0])
    pooled = PooledSeeds([*several, single])
    assert pooled.of_difference(several[0], single, "accuracy") == pooled.of_arm("accuracy")
    assert pooled.of_difference(single, single, "accuracy") is None


def test_two_seeds_of_a_single_arm_do_not_count():
    both = [arm(arms(1, 2)[0]), arm(arms(1, 1)[0])]
    found = PooledSeeds(both).of_difference(*both, "accuracy")
    assert not found.counts
    unseeded = paired_difference(
        arm(arms(1, 2)[0].mean(axis=0, keepdims=True)), both[1], "accuracy"
    )
    gain = paired_difference(*both, "accuracy", found)
    assert (gain.low, gain.high) == pytest.approx((unseeded.low, unseeded.high))


@pytest.mark.parametrize("seed", range(8))
def test_the_p_value_never_contradicts_the_interval(seed):
    results = [arm(table) for table in arms(3, 2, 0.05, seed)]
    results[0] = arm(arms(1, 2, 0.05, seed + 100)[0] + 0.02 * seed)
    seeds = PooledSeeds(results).of_difference(*results[:2], "accuracy")
    gain = paired_difference(*results[:2], "accuracy", seeds)
    p = paired_p_value(*results[:2], "accuracy", seeds)
    assert (p < 0.05) == (gain.low > 0 or gain.high < 0)


def test_equal_arms_count_once():
    results = [arm(table) for table in arms(3, 2)]
    once, twice = PooledSeeds(results), PooledSeeds([*results, results[0]])
    assert twice.of_arm("accuracy") == once.of_arm("accuracy")
    differences = [seeds.of_difference(*results[:2], "accuracy") for seeds in (once, twice)]
    assert differences[0] == differences[1]


def test_an_arm_with_the_same_values_at_each_seed_has_one_seed():
    several, same = [arm(table) for table in arms(2, 3)], arm(np.repeat(arms(1, 1)[0], 3, axis=0))
    single = arm(arms(1, 1)[0])
    identical, once = PooledSeeds([*several, same]), PooledSeeds([*several, single])
    assert identical.of_arm("accuracy") == once.of_arm("accuracy")
    differences = [
        seeds.of_difference(several[0], other, "accuracy")
        for seeds, other in ((identical, same), (once, single))
    ]
    assert differences[0] == differences[1]
    assert identical.of_difference(same, single, "accuracy") is None


def test_arms_without_the_metric_do_not_take_part():
    tables = arms(3, 3)
    undefined = arm(np.full((3, GROUPS), np.nan))
    some = PooledSeeds([*map(arm, tables), undefined])
    assert some.of_arm("accuracy") == PooledSeeds([*map(arm, tables)]).of_arm("accuracy")
    assert some.of_arm("auroc") is None
