"""Annotations and pixels are in one frame, however EXIF turns an image."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from ssl_kit.plugins.datasets.image_folder import ImageFolder
from ssl_kit.plugins.evaluations.annotations import Located, Objects
from ssl_kit.plugins.evaluations.frames import in_frame, turn_back
from ssl_kit.plugins.evaluations.marked_images import Images


def turned(folder, orientation, height=40, width=60):
    """An image with a bright box at rows 4 to 12 and columns 20 to 50, as it is stored."""
    image = np.zeros((height, width, 3), np.uint8)
    image[4:12, 20:50] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image).save(folder / "a.png", exif=exif)
    return ImageFolder(folder)


def located(box, size=None):
    boxes = np.array([box], float)
    one = np.zeros(1, np.int64)
    return Located(("a",), {0: Objects(boxes, one, one > 0, np.ones(1), ([],), size)}, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_back_gives_the_stored_pixels(orientation):
    image = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    picture = Image.fromarray(image)
    picture.getexif()[0x0112] = orientation
    shown = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(turn_back(shown, orientation), image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_on_stored_pixels_stay_on_what_they_mark(tmp_path, orientation):
    data = turned(tmp_path, orientation)
    objects = in_frame(located((20, 4, 50, 12), (40, 60)), data, "auto")
    sample = Images(data, objects, np.array([0]), 60, True)[0]
    assert sample.image[:, 5:11, 21:49].min() == 1
    assert bool(objects.remarks) == (orientation > 1)


def test_boxes_on_the_turned_image_are_recognized_by_its_size(tmp_path):
    data = turned(tmp_path, 6)
    objects = in_frame(located((28, 20, 36, 50), (60, 40)), data, "auto")
    assert not objects.turned
    assert "on the turned images (sizes and boxes fit)" in objects.remarks[0]


def test_an_option_chooses_the_other_frame(tmp_path):
    data = turned(tmp_path, 3, 40, 40)
    assert in_frame(located((1, 1, 9, 9)), data, "auto").turned == {0: 3}
    assert in_frame(located((1, 1, 9, 9)), data, "shown").turned == {}
