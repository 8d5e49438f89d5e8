from __future__ import annotations

import numpy as np
import pytest

from ssl_kit import Index, UsageError
from ssl_kit_eeg.pairings import neighbor, recording

PLACES = np.array([[0, 10], [1, 0], [0, 0], [0, 5], [1, 5], [2, 0]], float)
INDEX = Index.build(list("abcdef"), groups=["s"] * 6, positions=PLACES)


def partners(pairing, i: int) -> set[int]:
    made = pairing(INDEX)
    return set(made.members[made.starts[i] : made.stops[i]].tolist()) - {i}


def test_windows_of_one_recording_are_partners() -> None:
    assert partners(recording, 0) == {2, 3}
    assert partners(recording, 1) == {4}
    assert partners(recording, 5) == set()


def test_neighbors_are_next_in_time() -> None:
    assert partners(neighbor, 0) == {3}
    assert partners(neighbor, 3) == {0, 2}
    assert partners(neighbor, 5) == set()


def test_images_without_a_time_cannot_be_paired() -> None:
    with pytest.raises(UsageError, match="'group' pairs"):
        neighbor(Index.build(["a", "b"]))
