from __future__ import annotations

import numpy as np
import pytest

from ssl_kit import Index, Pairing, UsageError
from ssl_kit.data import tile_key
from ssl_kit_histopathology.pairings import neighbors


def index_of(tiles: list[tuple[str, int, int]]) -> Index:
    names = [tile_key(*tile) for tile in tiles]
    return Index.build(names, groups=["patient"] * len(tiles), positions=[t[1:] for t in tiles])


def others(partners: Pairing) -> list[list[int]]:
    rows = zip(partners.starts, partners.stops, strict=True)
    return [partners.members[start:stop].tolist() for start, stop in rows]


def test_pairs_what_lies_side_by_side_on_one_slide() -> None:
    tiles = [("a", 0, 0), ("b", 0, 1), ("a", 1, 1), ("a", 0, 1), ("a", 3, 3), ("b", 1, 1)]
    assert others(neighbors(index_of(tiles))) == [[2, 3], [5], [0, 3], [0, 2], [], [1]]


def test_slides_of_one_patient_do_not_touch() -> None:
    tiles = [("a", 0, 0), ("a", 1, 0), ("b", 2, 0), ("b", 3, 0)]
    assert others(neighbors(index_of(tiles))) == [[1], [0], [3], [2]]


def test_a_tile_alone_is_its_own_partner() -> None:
    partners = neighbors(index_of([("a", 0, 0), ("a", 0, 1), ("a", 5, 5)]))
    assert partners.pick(2, np.random.default_rng(0)) == 2


@pytest.mark.parametrize("positions", [None, np.zeros((2, 3)), [[0, 0], [4, 4]]])
def test_without_neighbors_it_says_so(positions: object) -> None:
    with pytest.raises(UsageError, match="'group' pairs the patches"):
        neighbors(Index.build(["a#0,0", "a#4,4"], positions=positions))
