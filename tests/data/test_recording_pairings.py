from __future__ import annotations

import numpy as np
import pytest

from ssl_kit import Index, UsageError
from ssl_kit.data import next_in_recording, same_recording

PLACES = np.array([[0, 10], [1, 0], [0, 0], [0, 5], [1, 5], [2, 0]], float)
INDEX = Index.build(list("abcdef"), groups=["s"] * 6, positions=PLACES)


def partners(pairing, i: int) -> set[int]:
    made = pairing(INDEX)
    return set(made.members[made.starts[i] : made.stops[i]].tolist()) - {i}


def test_windows_of_one_recording_are_partners() -> None:
    assert partners(same_recording, 0) == {2, 3}
    assert partners(same_recording, 1) == {4}
    assert partners(same_recording, 5) == set()


def test_neighbors_are_next_in_time() -> None:
    assert partners(next_in_recording, 0) == {3}
    assert partners(next_in_recording, 3) == {0, 2}
    assert partners(next_in_recording, 5) == set()


def test_images_without_a_time_cannot_be_paired() -> None:
    with pytest.raises(UsageError, match="'group' pairs"):
        next_in_recording(Index.build(["a", "b"]))
