"""The earlier part of a group is the one that evaluations within groups train on."""

import numpy as np
import pytest

from ssl_kit import UsageError
from ssl_kit.core.index import Index
from ssl_kit.data import cut_in_time, natural_key, renumber
from ssl_kit.data.in_time import is_later, later_starts

RECORDINGS, WINDOWS, STRIDE = 2, 30, 10.0


def index_of(labeled=None, time=True):
    rng = np.random.default_rng(0)
    order = rng.permutation(2 * RECORDINGS * WINDOWS)
    group, rest = np.divmod(order, RECORDINGS * WINDOWS)
    recording, number = np.divmod(rest, WINDOWS)
    labels = ["a" if labeled is None or n in labeled else "" for n in number.tolist()]
    return Index.build(
        [str(i) for i in order],
        labels=labels,
        groups=[f"g{g}" for g in group],
        positions=np.column_stack([2 * group + recording, number * STRIDE]) if time else None,
    )


@pytest.mark.parametrize(("share", "gap"), [(0.3, 0), (0.3, 25), (0.75, 40)])
def test_earlier_images_are_the_first_part_in_time(share, gap):
    index = index_of()
    everything = np.arange(len(index))
    later = is_later(index, everything, later_starts(index, share), gap)
    for group in (0, 1):
        rows = np.flatnonzero(index.groups == group)
        first = rows[cut_in_time(index.positions[rows], share, 1 - share, gap)[0]]
        assert set(rows[~later[rows]]) == set(first)


def test_unlabeled_images_before_the_later_labeled_ones_are_earlier():
    index = index_of(labeled=range(10, 20))  # ten windows of each of the two recordings
    starts = later_starts(index, 0.25)
    assert starts == {0: (0, 150), 1: (2, 150)}
    later = is_later(index, np.arange(len(index)), starts, gap=20)
    recording, time = index.positions.T
    np.testing.assert_array_equal(later, (recording % 2 == 1) | (time > 130))


def test_images_without_time_are_refused():
    with pytest.raises(UsageError, match="no time"):
        later_starts(index_of(time=False), 0.5)


def test_names_are_ordered_by_the_numbers_in_them():
    names = ["run10", "run9b", "run9", "10", "9", "b"]
    assert sorted(names, key=natural_key) == ["9", "10", "b", "run9", "run9b", "run10"]


def test_recordings_exchange_numbers_within_their_group():
    numbers = renumber([0, 3, 1, 2, 7], [[3, 1, 2], [0, 4]])
    assert numbers == [0, 2 - 8, 3 - 8, 1 - 8, 7]
