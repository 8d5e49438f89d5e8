from __future__ import annotations

from pathlib import Path

import numpy as np

from ssl_kit import Config
from ssl_kit_remote_sensing.demo import Demo
from ssl_kit_remote_sensing.pairings import neighbor, neighbors, seasons


def demo() -> Demo:
    return Demo.open(Path(), Config())


def test_is_the_same_each_time_and_in_any_order() -> None:
    first, second = demo(), demo()
    chosen = [479, 0, 77]
    images = [first.read(i) for i in chosen]
    again = [second.read(i) for i in reversed(chosen)]
    assert all(np.array_equal(a, b) for a, b in zip(images, reversed(again), strict=True))


def test_tiles_are_what_the_dataset_says() -> None:
    sample = demo()[0]
    assert sample.image.shape == (64, 64, 4)
    assert sample.image.dtype == np.uint8
    assert sample.channels == ("blue", "green", "red", "nir")


def test_is_labeled_evenly() -> None:
    index = demo().index
    assert len(index.classes) == 6
    assert np.bincount(index.labels).tolist() == [80] * 6


def test_a_group_is_a_place_of_one_cover() -> None:
    index = demo().index
    for group in range(60):
        labels = index.labels[index.groups == group]
        assert len(labels) == 8
        assert len(set(labels.tolist())) == 1


def test_no_image_is_flat_or_mostly_saturated() -> None:
    data = demo()
    for i in range(0, len(data), 4):
        image = data.read(i)
        assert image.std((0, 1)).min() > 1
        assert (image == 255).mean() < 0.2


def test_the_four_tiles_of_a_scene_touch() -> None:
    partners = neighbor(demo().index)
    assert (partners.stops - partners.starts == 3).all()


def test_each_place_is_seen_on_two_dates() -> None:
    data = demo()
    made = seasons(data.index)
    for i in range(0, len(data), 37):
        (other,) = made.members[made.starts[i] : made.stops[i]].tolist()
        assert data.index.groups[other] == data.index.groups[i]
        a, b = data.read(i).astype(float), data.read(other).astype(float)
        assert not np.array_equal(a, b)
        assert np.corrcoef(a[..., 3].ravel(), b[..., 3].ravel())[0, 1] > 0.5


def test_neighbors_are_the_tiles_of_the_place() -> None:
    index = demo().index
    made = neighbors(index)
    assert (made.stops - made.starts == 7).all()
    assert (index.groups[made.members] == np.repeat(index.groups, 7)).all()
