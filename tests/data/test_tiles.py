import numpy as np
import pytest

from ssl_kit.data import box_means, evenly_spaced, grid, parse_tile_keys, tile_key, tile_starts


@pytest.mark.parametrize(
    ("length", "tile", "stride", "expected"),
    [
        (100, 32, 32, [0, 32, 64, 68]),
        (64, 32, 32, [0, 32]),
        (20, 32, 32, [0]),
        (40, 32, 8, [0, 8]),
    ],
)
def test_tiles_cover_an_image_and_the_last_ends_with_it(length, tile, stride, expected):
    assert tile_starts(length, tile, stride).tolist() == expected


def test_a_grid_has_all_pairs_row_by_row():
    assert grid(np.array([0, 5]), np.array([1, 2])).tolist() == [[0, 1], [0, 2], [5, 1], [5, 2]]


def test_names_of_tiles_can_be_parsed():
    keys = [tile_key("b/x#1.svs", 0, 1), tile_key("a.svs", 12, 3), tile_key("b/x#1.svs", 7, 7)]
    names, images, places = parse_tile_keys(np.array([key.encode() for key in [*keys, "c.png"]]))
    assert names.tolist() == [b"a.svs", b"b/x#1.svs", b"c.png"]
    assert images.tolist() == [1, 0, 1, 2]
    assert places.tolist() == [[0, 1], [12, 3], [7, 7], [0, 0]]


def test_means_of_boxes_against_slices():
    rng = np.random.default_rng(0)
    mask = rng.random((20, 30)) < 0.3
    top, left = rng.integers(0, 10, (2, 50))
    bottom, right = top + rng.integers(1, 10, 50), left + rng.integers(1, 20, 50)
    boxes = zip(top, bottom, left, right, strict=True)
    expected = [mask[a:b, c:d].mean() for a, b, c, d in boxes]
    np.testing.assert_allclose(box_means(mask, top, bottom, left, right), expected)


@pytest.mark.parametrize(("count", "most"), [(0, 4), (1, 4), (3, 4), (10, 4), (1000, 256), (7, 1)])
def test_evenly_spaced_positions(count, most):
    chosen = evenly_spaced(count, most)
    assert len(chosen) == min(count, most)
    assert chosen[:1].tolist() == [0][:count]
    if most > 1 and count:
        assert chosen[-1] == count - 1
        assert np.ptp(np.diff(chosen, prepend=chosen[0] - count // most)) <= count // most + 1
