import numpy as np
import pytest

from ssl_kit import Index
from ssl_kit.core.pairing import same_group


@pytest.fixture
def partners():
    groups = ["a", "b", "a", "c", "a", "b"]
    return same_group(Index.build([str(i) for i in range(6)], groups=groups))


def draws(partners, index, n=300):
    rng = np.random.default_rng(0)
    return [partners.pick(index, rng) for _ in range(n)]


def test_a_partner_is_another_image_of_the_group(partners):
    assert set(draws(partners, 0)) == {2, 4}
    assert set(draws(partners, 5)) == {1}


def test_an_image_alone_is_its_own_partner(partners):
    assert set(draws(partners, 3)) == {3}


def test_all_partners_have_the_same_chance(partners):
    counts = np.bincount(draws(partners, 2, 2000), minlength=6)
    assert counts[2] == 0
    assert abs(counts[0] - counts[4]) < 150


def test_a_partner_depends_on_the_random_numbers_only(partners):
    assert draws(partners, 4) == draws(partners, 4)


def test_a_group_of_many_needs_no_more_than_its_members():
    index = Index.build([str(i) for i in range(1000)], groups=["one"] * 1000)
    assert len(same_group(index).members) == 1000


def test_what_is_not_in_the_pool_is_no_partner(partners):
    inside = partners.within(np.array([0, 1, 3, 4]))
    assert set(draws(inside, 0)) == {4}
    assert set(draws(inside, 1)) == {1}
    assert set(draws(inside, 3)) == {3}
