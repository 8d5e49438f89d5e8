"""What is understood of a dataset, on small datasets with one peculiarity each."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ssl_kit import DataError, Index
from ssl_kit.data.inspection import inspect_dataset
from ssl_kit.data.looking import look_at
from ssl_kit.data.pixels import suspected_fills
from ssl_kit.data.splits import split
from ssl_kit.reports.inspection import fact_rows

rng = np.random.default_rng(0)


def pictures(n, dtype=np.uint8, side=24):
    base = rng.integers(0, 255, (n, 3, 3, 1)).repeat(side // 3, axis=1).repeat(side // 3, axis=2)
    return [(image if dtype == np.uint8 else image / 255).astype(dtype) for image in base]


@pytest.fixture
def inspect(memory_dataset):
    def make(images, **columns):
        dataset = memory_dataset(images, **columns)
        return inspect_dataset(dataset, split(dataset.index, 0.2))

    return make


def test_counts_are_those_of_the_index(inspect):
    found = inspect(
        pictures(30), labels=["cat", "dog", ""] * 10, groups=[f"g{i // 2}" for i in range(30)]
    )
    assert (found.images, found.unlabeled, found.groups, found.single) == (30, 10, 15, False)
    assert dict(found.classes) == {"cat": 10, "dog": 10}
    assert sum(found.parts.values()) == 30
    assert found.types == {"uint8": 30}
    assert found.sizes == {"24 x 24": 30}


def test_equal_images_across_the_split_are_a_warning(inspect):
    images = pictures(40)
    found = inspect(
        images + images[:5], labels=["cat", "dog"] * 20 + ["cat", "dog", "cat", "dog", "cat"]
    )
    assert found.copies.equal == 5
    assert found.copies.across_classes == 0
    assert ("across the test part" in " ".join(found.warnings)) == (found.copies.across_split > 0)


def test_a_copy_that_was_saved_again_is_nearly_equal(inspect):
    images = pictures(12)
    again = [
        np.clip(i.astype(int) + rng.integers(-3, 4, i.shape), 0, 255).astype(np.uint8)
        for i in images
    ]
    found = inspect(images + again)
    assert (found.copies.equal, found.copies.near) == (0, 12)


def test_constant_images_are_no_copies_of_each_other_but_constant(inspect):
    found = inspect([*pictures(5), *(np.full((24, 24, 1), v, np.uint8) for v in (0, 9, 200))])
    assert found.constant == 3
    assert found.copies.near == 0
    assert "3 of 8 images looked at are constant." in found.warnings


def test_several_number_types_are_a_warning(inspect):
    found = inspect([*pictures(5), *(i.astype(np.uint16) for i in pictures(1))])
    assert "several number types: 5 uint8, 1 uint16" in " ".join(found.warnings)


def test_what_cannot_be_read_is_named(inspect):
    found = inspect([*pictures(5), "cut off"])
    assert found.unreadable == {"cut off": 1}
    assert found.warnings == ("Unreadable: 1 of the files or images, such as 'image5': cut off.",)
    assert dict(fact_rows(found))["Images"] == "6, of which 1 cannot be read"


def test_nothing_that_can_be_read_is_an_error(memory_dataset):
    dataset = memory_dataset([*pictures(1), "cut off"])
    dataset.images[0] = "gone"
    with pytest.raises(DataError, match="'image0': gone"):
        inspect_dataset(dataset, split(dataset.index, 0.2))


@pytest.mark.slow
def test_a_million_files_are_no_more_pixels_than_a_thousand(memory_dataset, monkeypatch):
    images, count = pictures(64), 10**6
    dataset = memory_dataset(images)
    names = [str(i) for i in range(count)]
    dataset.index = Index.build(names, labels=["cat", "dog"] * (count // 2))
    positions = []
    monkeypatch.setattr(
        dataset, "read", lambda i: positions.append(i) or images[i % len(images)], raising=False
    )
    start, parts = time.process_time(), split(dataset.index, 0.2)
    found = inspect_dataset(dataset, parts)
    assert (found.images, found.looked_at, len(positions)) == (count, 1024, 1024 + 1)  # the range
    assert found.classes == {"cat": count // 2, "dog": count // 2}
    assert time.process_time() - start < 30


def test_large_images_are_fewer(memory_dataset, monkeypatch):
    dataset = memory_dataset(pictures(1, side=1200) * 40)
    assert look_at(dataset, 30).looked_at == 16
    assert look_at(memory_dataset(pictures(40)), 30).looked_at == 30


def test_equal_channels_are_a_gray_image_stored_in_color(inspect):
    found = inspect([image.repeat(3, axis=2) for image in pictures(5)])
    assert found.gray
    assert "The 3 channels are equal in all images looked at" in found.remarks[0]
    assert not inspect([rng.integers(0, 255, (8, 8, 3), np.uint8) for _ in range(5)]).gray


def test_a_clipped_band_is_a_warning(inspect):
    bands = [rng.normal(0.3, 0.2, (24, 24, 1)).clip(0, 0.5).astype(np.float32) for _ in range(9)]
    assert "they look clipped or saturated" in inspect(bands).warnings[0]
    assert inspect([band[band < 0.5].reshape(-1, 1, 1) for band in bands]).warnings == ()


def test_the_extremes_are_those_of_all_pixels(inspect):
    images = [np.full((64, 64, 1), 7.0) for _ in range(6)]
    images[3][63, 62], images[3][0, 1] = 90, np.nan  # neither is among the pixels of the sample
    (channel,) = inspect(images).channels
    assert (channel.low, channel.high) == (7, 90)


@pytest.mark.parametrize(("window", "warned"), [((0, 100), True), ("bone", False)])
def test_values_outside_of_a_given_window_are_a_warning(memory_dataset, window, warned):
    dataset = memory_dataset([rng.uniform(0, 200, (8, 8, 1)) for _ in range(9)], [(0, 100)])
    dataset.options = SimpleNamespace(model_fields_set={"window"}, window=window)
    warnings = inspect_dataset(dataset, split(dataset.index, 0.2)).warnings
    assert any("outside of the given range, 0 to 100" in each for each in warnings) == warned


def test_windows_of_signals_are_compared_by_channel_and_time(inspect):
    signals = [rng.normal(size=(1, 60, 4)).astype(np.float32) for _ in range(9)]
    found = inspect([*signals, signals[0] + np.float32(1e-4)])
    assert (found.copies.equal, found.copies.near) == (0, 1)


def test_numbers_and_several_labels_are_shown(inspect, memory_dataset):
    dataset = memory_dataset(pictures(30))
    columns = {"targets": np.arange(30, dtype=np.float32)[:, None], "target_names": ("number",)}
    dataset.index = replace(dataset.index, **columns)
    found = inspect_dataset(dataset, split(dataset.index, 0.2))
    assert found.targets == {"lowest": 0, "highest": 29}
    assert (found.unlabeled, found.parts["test"]) == (0, 6)
    several = np.tile(np.float32([[1, 0], [1, 1], [np.nan, np.nan]]), (10, 1))
    dataset.index = replace(dataset.index, targets=several, target_names=("cat", "dog"))
    found = inspect_dataset(dataset, split(dataset.index, 0.2))
    assert (found.targets, found.unlabeled) == ({"cat": 20, "dog": 10}, 10)
    assert dataset.targets is several


def test_numbers_of_files_that_cannot_be_used_are_no_numbers(memory_dataset):
    dataset = memory_dataset(pictures(10))
    columns = {"targets": np.full((10, 1), np.nan, np.float32), "target_names": ("number",)}
    dataset.index = replace(dataset.index, **columns)
    found = inspect_dataset(dataset, split(dataset.index, 0.2))
    assert (found.targets, found.unlabeled, found.parts["test"]) == ({}, 10, 0)


@pytest.mark.parametrize("fill", [-9999.0, -3.4e38, 1e6])
def test_a_fill_value_is_suspected(fill):
    values = rng.normal(0.4, 0.1, 1000)
    values[:50] = fill
    assert suspected_fills(values) == [fill]


@pytest.mark.parametrize(
    "values", [rng.normal(size=1000), np.r_[np.zeros(50), rng.random(950)], np.ones(9)]
)
def test_ordinary_values_are_not_suspected(values):
    assert suspected_fills(values) == []


def test_values_of_other_scales_are_a_warning(inspect):
    images = pictures(6, np.float32)
    assert not any("have values up to" in warning for warning in inspect(images).warnings)
    warnings = inspect([*images, images[0] * 255]).warnings
    assert any("1 of 7 images looked at have values up to" in warning for warning in warnings)
