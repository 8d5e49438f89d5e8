"""What is understood of a dataset, on small datasets with one peculiarity each."""

import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit.data.inspection import inspect_dataset
from ssl_kit.data.pixels import suspected_fills
from ssl_kit.data.splits import split

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
    assert found.unreadable == {"image5": "cut off"}
    assert "'image5': cut off" in found.warnings[0]


def test_nothing_that_can_be_read_is_an_error(memory_dataset):
    dataset = memory_dataset([*pictures(1), "cut off"])
    dataset.images[0] = "gone"
    with pytest.raises(DataError, match="'image0': gone"):
        inspect_dataset(dataset, split(dataset.index, 0.2))


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
    assert not inspect(images).warnings
    warnings = inspect([*images, images[0] * 255]).warnings
    assert any("1 of 7 images looked at have values up to" in warning for warning in warnings)
