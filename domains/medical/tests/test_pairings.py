from __future__ import annotations

import numpy as np
import pytest

from ssl_kit import Index, Pairing, UsageError
from ssl_kit_medical.pairings import neighbor, study, volume

#        study, volume, place: one study of two volumes, one of one, out of order
PLACES = [(0, 0, 2.5), (1, 2, 0), (0, 0, 0), (0, 1, 7), (0, 0, 5), (1, 2, 1)]


def index_of(positions: object) -> Index:
    n = len(positions)  # type: ignore[arg-type]
    return Index.build([f"image{i}" for i in range(n)], groups=["p"] * n, positions=positions)


def others(partners: Pairing) -> list[set[int]]:
    rows = zip(partners.starts, partners.stops, strict=True)
    return [
        set(partners.members[start:stop].tolist()) - {i} for i, (start, stop) in enumerate(rows)
    ]


def test_a_study_has_all_its_images() -> None:
    rest = {0, 2, 3, 4}
    expected = [rest - {0}, {5}, rest - {2}, rest - {3}, rest - {4}, {1}]
    assert others(study(index_of(PLACES))) == expected


def test_a_volume_has_all_its_slices() -> None:
    assert others(volume(index_of(PLACES))) == [{2, 4}, {5}, {0, 4}, set(), {0, 2}, {1}]


def test_a_neighbor_is_the_slice_before_or_behind() -> None:
    assert others(neighbor(index_of(PLACES))) == [{2, 4}, {5}, {0}, set(), {0}, {1}]


def test_a_slice_alone_is_its_own_partner() -> None:
    assert neighbor(index_of(PLACES)).pick(3, np.random.default_rng(0)) == 3


@pytest.mark.parametrize("pairing", [study, volume, neighbor])
@pytest.mark.parametrize("positions", [np.zeros((2, 0)), np.zeros((2, 2)), [(0, 0, 0), (1, 1, 1)]])
def test_without_volumes_it_says_so(pairing, positions) -> None:
    with pytest.raises(UsageError, match="'group' pairs by the groups"):
        pairing(index_of(positions))
