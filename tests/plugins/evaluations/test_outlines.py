import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_masks

from ssl_kit import DataError
from ssl_kit.plugins.evaluations.outlines import RunLengths, encode, mask_of


def packed(mask):
    found = encode(mask)
    return RunLengths(size=found["size"], counts=found["counts"].decode())


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 1])
def test_run_lengths_as_text_are_read_as_pycocotools_writes_them(share):
    mask = (np.random.default_rng(0).random((37, 120)) < share).astype(np.uint8)
    np.testing.assert_array_equal(mask_of(packed(mask), 37, 120), mask)


def test_run_lengths_go_down_the_columns():
    found = mask_of(RunLengths(size=(2, 3), counts=[1, 2, 3]), 2, 3)
    assert found.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_polygons_are_filled_together():
    squares = [[1.0, 1, 4, 1, 4, 4, 1, 4], [6.0, 6, 9, 6, 9, 9, 6, 9]]
    found = mask_of(squares, 10, 10)
    expected = np.zeros((10, 10), np.uint8)
    expected[1:4, 1:4] = expected[6:9, 6:9] = 1
    np.testing.assert_array_equal(found, expected)


def test_a_polygon_far_outside_is_cut_at_the_image_and_costs_nothing():
    found = mask_of([[-1e12, -1e12, 1e12, -1e12, 1e12, 1e12, -1e12, 1e12]], 10, 10)
    assert found.all()


@pytest.mark.parametrize(
    ("outline", "said"),
    [
        (RunLengths(size=(4, 4), counts=[5, 100]), "do not add up"),
        (RunLengths(size=(4, 4), counts=[-5, 21]), "do not add up"),
        (RunLengths(size=(4, 4), counts=[]), "do not add up"),
        (RunLengths(size=(10**6, 10**6), counts=[10**12]), "the image has"),
        (RunLengths(size=(4, 4), counts="0" * 50), "do not add up"),
        (RunLengths(size=(4, 4), counts="o" * 10**6), "no COCO text"),
        (RunLengths(size=(4, 4), counts="é"), "no COCO text"),
        ([[1.0, 1, 2, 2]], "4 numbers"),
        ([[1.0, 1, 2, 2, 3, 3, 4]], "7 numbers"),
    ],
)
def test_a_damaged_outline_is_a_plain_error(outline, said):
    with pytest.raises(DataError, match=said):
        mask_of(outline, 4, 4)


def test_masks_of_real_ships_come_back(real_data):
    files = sorted((real_data / "hrsid_ships" / "masks").glob("*.png"))[:5]
    for file in files:
        mask = (cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) > 0).astype(np.uint8)
        there = packed(mask)
        np.testing.assert_array_equal(mask_of(there, *mask.shape), mask)
        assert coco_masks.area(encode(mask)) == mask.sum()
