import albumentations as A
import cv2
import numpy as np
import pytest

from ssl_kit.data.augment import D4, Downscale, Jpeg, downscale


def slowly(image, times):
    """Means of squares, then lines between their centers, along one side after the other."""
    cells = len(image) // times
    made = image.astype(np.float64).reshape(cells, times, cells, times, -1).mean(axis=(1, 3))
    where = (np.arange(len(image)) + 0.5) / times - 0.5
    for axis in (0, 1):
        made = np.apply_along_axis(lambda v: np.interp(where, range(cells), v), axis, made)
    return made


@pytest.mark.parametrize("channels", [1, 3, 7])
def test_coarser_pixels_are_means(channels):
    image = np.random.default_rng(0).random((48, 48, channels), np.float32)
    np.testing.assert_allclose(downscale(image, 4), slowly(image, 4), atol=1e-5)
    np.testing.assert_array_equal(Downscale(4)(image=image)["image"], downscale(image, 4))


def test_a_coarser_byte_stays_a_byte():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 5)).astype(np.uint8)
    made = downscale(image, 1.5)
    assert (made.dtype, made.shape) == (image.dtype, image.shape)


def test_jpeg_is_that_of_the_quality():
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    _, code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 10])
    made = Jpeg("jpeg", (10, 10), p=1)(image=image)["image"]
    np.testing.assert_array_equal(made, cv2.imdecode(code, 1)[..., ::-1])


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("turn", ["e", "r90", "r180", "r270", "v", "hvt", "h", "t"])
def test_a_symmetry_is_that_of_albumentations(channels, turn):
    image = np.random.default_rng(0).random((24, 32, channels), np.float32)
    np.testing.assert_array_equal(D4().apply(image, turn), A.D4().apply(image, turn))
