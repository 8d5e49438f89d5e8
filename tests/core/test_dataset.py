import tracemalloc

import numpy as np
import pytest

from ssl_kit import DataError, Index


def ramp(low, high, dtype, channels=1):
    values = np.linspace(low, high, 40 * 50 * channels).reshape(channels, 40, 50)
    return values.transpose(1, 2, 0).astype(dtype)


def test_index_numbers_classes_in_order_and_marks_what_has_none():
    index = Index.build(["a", "b", "c"], labels=["dog", "", "cat"])
    assert index.classes == ("cat", "dog")
    assert index.labels.tolist() == [1, -1, 0]


def test_index_without_labels_groups_or_splits():
    index = Index.build(["a", "b"])
    assert index.classes == ()
    assert index.labels.tolist() == [-1, -1]
    assert len(set(index.groups)) == 2
    assert index.splits.tolist() == [0, 0]
    assert index.positions.shape == (2, 0)


def test_index_groups_images_and_leaves_the_others_alone():
    index = Index.build(["a", "b", "c", "d"], groups=["p1", "", "p1", ""])
    assert index.groups[0] == index.groups[2]
    assert len(set(index.groups)) == 3


def test_index_keys_are_any_text():
    index = Index.build(["größe/я.png", "b"])
    assert [index.key(i) for i in range(len(index))] == ["größe/я.png", "b"]


def test_index_of_nothing():
    assert len(Index.build([])) == 0


def test_group_hashes_hide_the_names_and_follow_the_choice():
    index = Index.build(["a", "b", "c"], groups=["Mrs Smith", "Mrs Smith", "Mr Jones"])
    hashes = index.group_hashes()
    assert len(hashes) == 2
    assert index.group_hashes(np.array([0, 1])) < hashes
    assert not any("Smith" in name for name in hashes)


def test_uint8_is_left_as_it_is(memory_dataset):
    image = ramp(0, 255, np.uint8, 3)
    sample = memory_dataset([image])[0]
    assert sample.image is image
    assert sample.value_range.tolist() == [[0, 255]] * 3


def test_uint8_with_a_range_of_its_own_is_stretched(memory_dataset):
    sample = memory_dataset([ramp(0, 255, np.uint8)], value_range=[[100, 200]])[0]
    assert sample.image.dtype == np.float32
    assert sample.image.min() == 0
    assert sample.image.max() == 1


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [(np.uint16, 5, 9500), (np.float32, -2.5, 7.5), (np.float64, 1e-6, 3e-6), (np.int16, -900, 0)],
)
def test_other_numbers_map_their_bulk_to_0_and_1(memory_dataset, dtype, low, high):
    dataset = memory_dataset([ramp(low, high, dtype)])
    image = dataset[0].image
    expected = np.percentile(ramp(low, high, dtype), [0.5, 99.5])
    np.testing.assert_allclose(dataset.value_range[0], expected, rtol=1e-6)
    assert image.dtype == np.float32
    middle = (dataset.images[0] - expected[0]) / (expected[1] - expected[0])
    np.testing.assert_allclose(image, middle.clip(0, 1), atol=1e-5)


def test_each_channel_has_its_own_range(memory_dataset):
    image = np.dstack([ramp(0, 1, np.float32), ramp(100, 5000, np.float32)])
    dataset = memory_dataset([image])
    assert dataset.value_range[1, 0] > 100
    np.testing.assert_allclose(*dataset[0].image.transpose(2, 0, 1), atol=1e-4)


def test_complex_numbers_go_by_magnitude(memory_dataset):
    magnitude = ramp(1, 9, np.float32)
    dataset = memory_dataset([magnitude * np.exp(2j * magnitude).astype(np.complex64)])
    plain = memory_dataset([magnitude])
    np.testing.assert_allclose(dataset.value_range, plain.value_range, rtol=1e-5)
    np.testing.assert_allclose(dataset[0].image, plain[0].image, atol=1e-5)


def test_holes_become_the_lowest_value_and_do_not_widen_the_range(memory_dataset):
    image = ramp(10, 20, np.float32)
    image[:5] = np.nan
    dataset = memory_dataset([image])
    assert np.isfinite(dataset.value_range).all()
    assert (dataset[0].image[:5] == 0).all()
    assert dataset[0].image[-1, -1] == 1


def test_a_constant_image_scales_to_something_finite(memory_dataset):
    assert (memory_dataset([np.full((8, 8, 1), 7.0, np.float32)])[0].image == 0).all()


def test_a_channel_without_any_number_is_finite_too(memory_dataset):
    image = np.dstack([ramp(0, 1, np.float32), np.full((40, 50), np.nan, np.float32)])
    dataset = memory_dataset([image])
    assert np.isfinite(dataset.value_range).all()
    assert (dataset[0].image[..., 1] == 0).all()


def test_infinite_values_are_clipped_and_do_not_widen_the_range(memory_dataset):
    image = ramp(0, 1, np.float32)
    image[:5], image[5:10] = np.inf, -np.inf  # decibels of zero, for one
    dataset = memory_dataset([image])
    assert np.isfinite(dataset.value_range).all()
    assert (dataset[0].image[:5] == 1).all()
    assert (dataset[0].image[5:10] == 0).all()


def test_the_range_of_a_run_is_kept(memory_dataset):
    dataset = memory_dataset([ramp(0, 5, np.float32)], value_range=[[0, 10]])
    assert dataset.value_range.tolist() == [[0, 10]]
    assert dataset[0].image.max() == pytest.approx(0.5)


def test_the_range_is_measured_over_the_readable_images(memory_dataset):
    images = [ramp(0, 1, np.float32), "broken", ramp(9, 10, np.float32)]
    low, high = memory_dataset(images).value_range[0]
    assert (low, high) == (pytest.approx(0, abs=0.05), pytest.approx(10, abs=0.05))


def test_nothing_readable_is_an_error(memory_dataset):
    dataset = memory_dataset([ramp(0, 1, np.float32)])
    dataset.images = ["broken"]
    with pytest.raises(DataError, match="None of the images"):
        _ = dataset.value_range


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 2), (0, 8, 1)])
def test_an_image_of_another_shape_is_unreadable(memory_dataset, shape):
    dataset = memory_dataset([np.zeros((8, 8, 1), np.uint8)])
    dataset.images = [np.zeros(shape, np.uint8)]
    with pytest.raises(DataError, match="shape"):
        dataset[0]


def test_a_sample_knows_its_label_and_group(memory_dataset):
    images = [np.zeros((8, 8, 1), np.uint8)] * 2
    dataset = memory_dataset(images, labels=["cat", ""], groups=["p7", "p8"])
    assert (dataset[0].key, dataset[0].label, dataset[0].group) == ("image0", "cat", "p7")
    assert dataset[1].label == ""


def test_the_fingerprint_follows_names_labels_groups_and_splits(memory_dataset):
    images = [np.zeros((8, 8, 1), np.uint8)] * 2
    columns = [
        {},
        {"labels": ["a", "b"]},
        {"labels": ["b", "a"]},
        {"labels": ["a", "c"]},
        {"groups": ["p", "p"]},
        {"identities": ["image0:9", "image1:8"]},
        {"splits": ["train", "test"]},
    ]
    prints = [memory_dataset(images, **some).fingerprint() for some in columns]
    assert len(set(prints)) == len(prints)
    assert memory_dataset(images).fingerprint() == prints[0]


def test_a_class_whose_folder_is_no_unicode_has_a_fingerprint():
    prints = {Index.build(["a"], labels=[name]).fingerprint() for name in ("\udce9", "\udcea")}
    assert len(prints) == 2


def test_nan_is_counted_and_an_image_of_nan_alone_is_refused(memory_dataset):
    images = [ramp(0, 1, np.float32) for _ in range(3)]
    images[1][:5, :5] = np.nan
    images[2][:] = np.nan
    dataset = memory_dataset(images, [(0, 1)])
    assert [dataset[i].incomplete for i in range(2)] == [False, True]
    assert dataset[1].image[0, 0, 0] == 0
    with pytest.raises(DataError, match="all are NaN"):
        dataset[2]


def test_the_value_range_is_measured_without_a_copy_in_float64(memory_dataset):
    large = ramp(0, 60000, np.uint16).repeat(50, 0)
    tracemalloc.start()
    memory_dataset([large]).measure_value_range()
    assert tracemalloc.get_traced_memory()[1] < large.nbytes
    tracemalloc.stop()


def test_scaling_holds_one_copy(memory_dataset):
    large = ramp(0, 60000, np.uint16).repeat(50, 0)
    dataset = memory_dataset([large], [(0, 60000)])
    tracemalloc.start()
    scaled = dataset.scale(large)
    assert tracemalloc.get_traced_memory()[1] < 1.4 * scaled.nbytes
    tracemalloc.stop()
