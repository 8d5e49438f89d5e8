import numpy as np
import pytest
import torch

from ssl_kit.data import from_levels, from_unit, full_scale, to_unit

LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)


@pytest.mark.parametrize("dtype", [np.dtype("uint8"), torch.uint8])
def test_bytes_end_at_255(dtype):
    assert full_scale(dtype) == 255


@pytest.mark.parametrize("dtype", [np.dtype("float32"), torch.float32])
def test_real_numbers_end_at_1(dtype):
    assert full_scale(dtype) == 1


def test_bytes_survive_the_way_there_and_back():
    unit = to_unit(LEVELS)
    assert (unit.min(), unit.max(), unit.dtype) == (0, 1, np.float32)
    assert np.array_equal(from_unit(unit, LEVELS), LEVELS)


def test_real_numbers_are_copied():
    image = np.full((2, 2, 1), 0.5, np.float32)
    unit = to_unit(image)
    unit[:] = 0
    assert (image == 0.5).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_values_are_clipped_to_the_range_of_the_type(dtype):
    image = np.zeros((1, 3, 1), dtype)
    made = from_unit(np.array([-1.0, 0.5, 2.0], np.float32), image)
    assert made.shape == image.shape
    assert made.dtype == dtype
    assert made.ravel().tolist() == ([0, 128, 255] if dtype == np.uint8 else [0, 0.5, 1])


def test_levels_are_rounded():
    assert from_levels(np.array([1.4, 1.6, 300.0]), np.zeros(3, np.uint8)).tolist() == [1, 2, 255]
