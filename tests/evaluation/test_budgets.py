from itertools import pairwise

import numpy as np
import pytest

from ssl_kit import Index, UsageError
from ssl_kit.evaluation import draw_labels


def index(groups_of_class=12, images=5):
    """Three classes; each group holds `images` images of one class."""
    labels = [name for name in "abc" for _ in range(groups_of_class * images)]
    groups = [f"g{i // images}" for i in range(len(labels))]
    return Index.build([str(i) for i in range(len(labels))], labels=labels, groups=groups)


EVERYTHING = np.arange(180)


@pytest.mark.parametrize("budget", [1, 7, 12, 30])
def test_a_number_is_so_many_images_of_each_class(budget):
    found = index()
    drawn = draw_labels(found, EVERYTHING, budget, seed=0)
    assert np.bincount(found.labels[drawn]).tolist() == [budget] * 3


def test_images_are_spread_over_as_many_groups_as_there_are():
    found = index()
    few, more = (found.groups[draw_labels(found, EVERYTHING, k, 0)] for k in (12, 24))
    assert np.bincount(few).tolist() == [1] * 36
    assert np.bincount(more).tolist() == [2] * 36


def test_a_class_with_fewer_images_gives_all():
    found = index()
    among = np.concatenate([EVERYTHING[:3], EVERYTHING[60:]])
    drawn = draw_labels(found, among, 10, 0)
    assert np.bincount(found.labels[drawn]).tolist() == [3, 10, 10]


@pytest.mark.parametrize(("share", "groups"), [(0.01, 1), (0.25, 3), (0.5, 6), (1.0, 12)])
def test_a_share_is_of_the_groups_of_each_class_with_all_their_images(share, groups):
    found = index()
    drawn = draw_labels(found, EVERYTHING, share, 0)
    assert np.bincount(found.labels[drawn]).tolist() == [5 * groups] * 3
    assert set(np.bincount(found.groups[drawn], minlength=36)) <= {0, 5}


@pytest.mark.parametrize("budgets", [(1, 3, 12, 30), (0.01, 0.2, 0.5, 1.0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_larger_budget_holds_the_smaller(budgets, seed):
    drawn = [set(draw_labels(index(), EVERYTHING, b, seed)) for b in budgets]
    assert all(small < large for small, large in pairwise(drawn))


@pytest.mark.parametrize("budget", [5, 0.2])
def test_seeds_draw_others_and_one_seed_the_same(budget):
    one, same, other = (draw_labels(index(), EVERYTHING, budget, s) for s in (0, 0, 1))
    assert (one == same).all()
    assert set(one) != set(other)


def test_the_order_of_the_candidates_does_not_matter():
    shuffled = np.random.default_rng(0).permutation(EVERYTHING)
    drawn, again = (draw_labels(index(), among, 4, 0) for among in (EVERYTHING, shuffled))
    assert (drawn == again).all()


def test_without_classes_a_number_counts_images_and_a_share_counts_groups():
    unlabeled = Index.build([str(i) for i in range(30)], groups=[f"g{i // 3}" for i in range(30)])
    few, more, half = (draw_labels(unlabeled, np.arange(30), b, 0, False) for b in (4, 9, 0.5))
    assert [len(few), len(more), len(half)] == [4, 9, 15]
    assert set(few) < set(more)
    assert len(set(unlabeled.groups[few])) == 4
    assert len(set(unlabeled.groups[half])) == 5


def test_only_candidates_are_drawn():
    among = EVERYTHING[::2]
    assert set(draw_labels(index(), among, 9, 0)) <= set(among)


def test_a_group_of_several_classes_is_drawn_once_and_whole():
    labels = ["a", "a", "b"] * 10 + ["b"] * 30
    groups = [f"m{i // 3}" for i in range(30)] + [f"s{i // 3}" for i in range(30)]
    mixed = Index.build([str(i) for i in range(60)], labels=labels, groups=groups)
    drawn = draw_labels(mixed, np.arange(60), 0.2, 0)
    assert len(drawn) == 12  # 2 of 10 mixed groups, 2 of 10 pure ones
    assert np.bincount(mixed.labels[drawn]).tolist() == [4, 8]


def rare_in_groups():
    """20 groups of nine "a" and a tenth image, which is "b" in eight of them."""
    labels = ["b" if i % 10 == 9 and i // 10 < 8 else "a" for i in range(200)]
    groups = [f"g{i // 10}" for i in range(200)]
    return Index.build([str(i) for i in range(200)], labels=labels, groups=groups)


@pytest.mark.parametrize("seed", range(8))
def test_a_share_has_classes_that_are_the_majority_of_no_group(seed):
    found, among = rare_in_groups(), np.arange(200)
    shares = [draw_labels(found, among, share, seed) for share in (0.01, 0.1, 0.2, 0.5, 1.0)]
    assert all(len(np.unique(found.labels[drawn])) == 2 for drawn in shares)
    groups = [len(np.unique(found.groups[drawn])) for drawn in shares]
    assert all(0 <= g - n <= 1 for g, n in zip(groups, (1, 2, 4, 10, 20), strict=True))
    assert all(set(small) <= set(large) for small, large in pairwise(shares))


@pytest.mark.parametrize("budget", [0, -1, 0.0, 1.5])
def test_what_is_no_budget_is_refused(budget):
    with pytest.raises(UsageError, match="label budget is a number of images a class"):
        draw_labels(index(), EVERYTHING, budget, 0)
