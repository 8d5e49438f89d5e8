from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_kit import Index, Pairing, UsageError
from ssl_kit.data import parse_tile_keys, tile_key
from ssl_kit_remote_sensing.cutting import corners, shares
from ssl_kit_remote_sensing.geotiff import GeoTiff, GeoTiffConfig
from ssl_kit_remote_sensing.pairings import neighbor, neighbors, seasons


def index_of(scenes: dict[str, np.ndarray], tile: int = 10) -> Index:
    places = [(name, *corner) for name, found in scenes.items() for corner in found.tolist()]
    return Index.build(
        [tile_key(*place) for place in places],
        groups=["one group"] * len(places),
        positions=[(row + tile / 2, col + tile / 2) for _, row, col in places],
    )


def rows(index: Index) -> list[set[str]]:
    made = neighbor(index)
    return [
        {index.key(int(i)) for i in made.members[start:stop]}
        for start, stop in zip(made.starts, made.stops, strict=True)
    ]


def test_neighbors_are_the_touching_tiles_of_the_scene() -> None:
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
    with pytest.raises(UsageError, match="neighbor"):
        neighbor(index_of({"a": corners(30, 30, 10, 20)}))


@pytest.mark.parametrize("positions", [None, [(5.0, 5.0), (5.0, 15.0)]])
def test_images_that_are_no_tiles_say_so(positions: list[tuple[float, float]] | None) -> None:
    with pytest.raises(UsageError, match="neighbor"):
        neighbor(Index.build(["a.png", "b.png"], positions=positions))


def test_names_survive_the_mark_in_a_file_name() -> None:
    keys = Index.build([tile_key("a#1.tif", 3, 4), "b#c.tif"]).keys
    _, scenes, corner = parse_tile_keys(keys)
    assert len(set(scenes.tolist())) == 2
    assert corner.tolist() == [[3, 4], [0, 0]]


def test_shares_of_a_full_mask_are_exact() -> None:
    mask = np.random.default_rng(0).random((30, 40)) < 0.3
    grid = corners(30, 40, 8, 5)
    expected = [mask[row : row + 8, col : col + 8].mean() for row, col in grid]
    assert np.allclose(shares(mask, (30, 40), 8, grid), expected)


def members(made: Pairing, i: int) -> set[int]:
    return set(made.members[made.starts[i] : made.stops[i]].tolist())


def placed(places: list[tuple[str, float, float]], near: float = 15.0) -> Index:
    """Tiles of 10 m at so many meters east and north."""
    return Index.build(
        [name for name, _, _ in places],
        positions=[(0, 0, east, north, 0, 10, near) for _, east, north in places],
    )


def test_neighbors_are_near_on_the_map_in_any_file() -> None:
    rng = np.random.default_rng(0)
    places = [(f"{i}.tif", *rng.uniform(0, 100, 2)) for i in range(60)]
    made = neighbors(placed(places))
    for i, (_, east, north) in enumerate(places):
        near = {j for j, (_, x, y) in enumerate(places) if np.hypot(x - east, y - north) <= 15}
        assert members(made, i) == near - {i}


def test_a_tile_has_at_most_64_neighbors_the_nearest() -> None:
    made = neighbors(placed([(f"{i}.tif", 0.1 * i, 0) for i in range(100)], near=100))
    assert members(made, 0) == set(range(1, 65))


def test_seasons_are_the_same_place_in_files_of_other_dates() -> None:
    made = seasons(
        placed(
            [
                ("a_20160101.tif#0,0", 0, 0),
                ("a_20160101.tif#0,10", 2, 0),  # the same file
                ("b_2016-01-01.tif", 1, 1),  # the same date
                ("a_20160517.tif#0,0", 3, 3),
                ("undated.tif", 1, 0),
                ("a_20160517.tif#0,10", 40, 0),  # elsewhere
            ]
        )
    )
    assert members(made, 0) == {3, 4}
    assert members(made, 4) == {0, 1, 2, 3}
    assert members(made, 5) == set()


@pytest.mark.parametrize("pairing", [neighbors, seasons])
def test_pairings_on_the_map_need_one(pairing: Callable[[Index], Pairing]) -> None:
    with pytest.raises(UsageError, match="where on the map"):
        pairing(index_of({"a": corners(30, 40, 10, 10)}))
    with pytest.raises(UsageError, match="finds no pairs"):
        pairing(placed([("a.tif", 0, 0), ("b.tif", 1000, 0)]))


def real(geotiffs: Path, tmp_path: Path, **options: Any) -> GeoTiff:
    for name in ("rgbn.tif", "rgbn_20160101.tif", "rgbn_20160517.tif"):
        (tmp_path / name).symlink_to(geotiffs / name)
    return GeoTiff.open(tmp_path, GeoTiffConfig(tile=128, **options))


def test_seasons_of_real_files(geotiffs: Path, tmp_path: Path) -> None:
    data = real(geotiffs, tmp_path)
    made, index = seasons(data.index), data.index
    for i in range(len(index)):
        name, place = index.key(i).split("#")
        found = {index.key(j) for j in members(made, i)}
        others = {"rgbn.tif", "rgbn_20160101.tif", "rgbn_20160517.tif"} - {name}
        assert {f"{other}#{place}" for other in others} <= found
        assert all(not key.startswith(f"{name}#") for key in found)


def test_neighbors_of_real_files_are_within_the_distance(geotiffs: Path, tmp_path: Path) -> None:
    data = real(geotiffs, tmp_path, near=700)
    made, place = neighbors(data.index), data.index.positions[:, :2]
    assert data.index.positions[0, 5] == pytest.approx(128 * 5, rel=0.005)
    for i in range(len(data)):
        distance = 5 * np.hypot(*(place - place[i]).T)  # pixels of 5 m, one map
        assert set(np.flatnonzero(distance < 690)) - {i} <= members(made, i)
        assert max(distance[list(members(made, i))]) < 710


def test_what_cannot_be_read_is_no_ones_partner(geotiffs: Path, tmp_path: Path) -> None:
    (tmp_path / "rgbn_20170101.tif").write_bytes(b"no picture")
    data = real(geotiffs, tmp_path)
    bad = [i for i in range(len(data)) if data.index.key(i) == "rgbn_20170101.tif"]
    assert bad
    for made in (seasons(data.index), neighbors(data.index)):
        assert not set(bad) & set(made.members.tolist())
