from __future__ import annotations

import numpy as np
import pytest

from ssl_kit import Index, UsageError
from ssl_kit_remote_sensing.pairings import neighbour
from ssl_kit_remote_sensing.tiles import corners, parse_keys, shares, tile_key


def index_of(scenes: dict[str, np.ndarray], tile: int = 10) -> Index:
    places = [(name, *corner) for name, found in scenes.items() for corner in found.tolist()]
    return Index.build(
        [tile_key(*place) for place in places],
        groups=["one group"] * len(places),
        positions=[(row + tile / 2, col + tile / 2) for _, row, col in places],
    )


def rows(index: Index) -> list[set[str]]:
    made = neighbour(index)
    return [
        {index.key(int(i)) for i in made.members[start:stop]}
        for start, stop in zip(made.starts, made.stops, strict=True)
    ]


def test_neighbours_are_the_touching_tiles_of_the_scene() -> None:
    grid = corners(30, 40, 10, 10)
    index = index_of({"a": grid, "b": grid})
    for i, found in enumerate(rows(index)):
        scene, here = index.key(i)[0], index.positions[i]
        near = np.abs(index.positions - here).max(1) == 10
        assert found == {index.key(j) for j in np.flatnonzero(near) if index.key(j)[0] == scene}


def test_the_row_moved_back_to_the_edge_still_touches() -> None:
    found = rows(index_of({"a": corners(23, 10, 10, 10)}))
    assert found == [{"a#10,0"}, {"a#0,0", "a#13,0"}, {"a#10,0"}]


def test_nothing_touches_across_a_hole() -> None:
    left = np.array([[0, 0], [0, 10], [0, 30], [0, 40]])
    assert rows(index_of({"a": left}))[1] == {"a#0,0"}


def test_tiles_further_apart_than_their_size_do_not_touch() -> None:
    with pytest.raises(UsageError, match="neighbour"):
        neighbour(index_of({"a": corners(30, 30, 10, 20)}))


@pytest.mark.parametrize("positions", [None, [(5.0, 5.0), (5.0, 15.0)]])
def test_images_that_are_no_tiles_say_so(positions: list[tuple[float, float]] | None) -> None:
    with pytest.raises(UsageError, match="neighbour"):
        neighbour(Index.build(["a.png", "b.png"], positions=positions))


def test_names_survive_the_mark_in_a_file_name() -> None:
    keys = Index.build([tile_key("a#1.tif", 3, 4), "b#c.tif"]).keys
    scenes, corner = parse_keys(keys)
    assert len(set(scenes.tolist())) == 2
    assert corner.tolist() == [[3, 4], [0, 0]]


def test_shares_of_a_full_mask_are_exact() -> None:
    mask = np.random.default_rng(0).random((30, 40)) < 0.3
    grid = corners(30, 40, 8, 5)
    expected = [mask[row : row + 8, col : col + 8].mean() for row, col in grid]
    assert np.allclose(shares(mask, (30, 40), 8, grid), expected)
