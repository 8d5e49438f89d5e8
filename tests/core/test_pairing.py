import numpy as np
import pytest

from ssl_kit import Index
from ssl_kit.data import grid_neighbors
from ssl_kit.data.pairings import same_group


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


def slow_neighbors(positions: np.ndarray) -> list[tuple[int, int]]:
    return [
        (i, j)
        for i, a in enumerate(positions.tolist())
        for j, b in enumerate(positions.tolist())
        if i != j and max(abs(a[0] - b[0]), abs(a[1] - b[1])) == 1
    ]


def test_edges_against_loops() -> None:
    grid = np.argwhere(np.random.default_rng(0).random((9, 11)) < 0.6)
    positions = np.random.default_rng(1).permutation(grid) - 4
    edges = grid_neighbors(positions)
    assert edges.T.tolist() == [list(edge) for edge in slow_neighbors(positions)]


def test_a_full_square_has_all_its_edges() -> None:
    edges = grid_neighbors([(r, c) for r in range(3) for c in range(3)])
    assert np.bincount(edges[0]).tolist() == [3, 5, 3, 5, 8, 5, 3, 5, 3]


def test_the_end_of_a_row_is_not_beside_the_start_of_the_next() -> None:
    assert grid_neighbors([(0, 5), (1, 0)]).shape == (2, 0)


@pytest.mark.parametrize("positions", [np.zeros((0, 2)), [(3, 3)]])
def test_no_neighbors(positions: object) -> None:
    assert grid_neighbors(positions).shape == (2, 0)


def test_positions_may_be_floats_of_an_index() -> None:
    assert grid_neighbors(np.array([[0, 0], [0, 1]], np.float32)).tolist() == [[0, 1], [1, 0]]
