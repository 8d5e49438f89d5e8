import csv

import cv2
import numpy as np
import pytest

from ssl_kit import RunError
from ssl_kit.plugins.evaluations.saliency import heat_map, overview, write_map, write_table

PLACES = np.array([[0, 0], [0, 2], [1, 1]], np.float32)


def centers(picture, cell=64):
    return picture[cell // 2 :: cell, cell // 2 :: cell].tolist()


def test_red_is_for_blue_is_against_white_is_nothing_and_gray_is_no_image():
    red, white, blue, gray = [255, 0, 0], [255] * 3, [128, 128, 255], [160] * 3
    picture = heat_map(PLACES + 7, np.array([2.0, 0.0, -1.0]))
    assert picture.shape == (128, 192, 3)
    assert centers(picture) == [[red, gray, white], [gray, blue, gray]]


def test_places_may_be_pixels():
    values = np.array([2.0, 0.0, -1.0])
    np.testing.assert_array_equal(heat_map(PLACES * 224, values), heat_map(PLACES, values))


def test_images_without_any_say_are_white():
    assert centers(heat_map(PLACES[:1], np.zeros(1))) == [[[255] * 3]]


def test_a_huge_bag_makes_a_small_picture_that_shows_its_peak():
    places = np.stack([np.arange(0, 100_000, 7), np.arange(0, 100_000, 7)], axis=1)
    values = np.full(len(places), 0.1)
    values[4001] = 1
    picture = heat_map(places + np.arange(len(places))[:, None] % 2, values)
    assert max(picture.shape) <= 1024
    assert (picture == [255, 0, 0]).all(axis=2).any()


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_an_overview_has_each_image_at_its_place(channels):
    images = [np.full((50, 40, channels), v, np.uint8) for v in (10, 20)]
    images.append(np.full((8, 8, channels), 1.0, np.float32))
    seen = centers(overview(PLACES, images))
    assert seen == [[[10] * 3, [160] * 3, [20] * 3], [[160] * 3, [255] * 3, [160] * 3]]


def test_files_are_written_into_new_folders(tmp_path):
    values = np.array([1.0, 0.5, -1.0])
    picture = heat_map(PLACES, values)
    write_map(tmp_path / "a" / "b.png", ("slide", "label b"), picture, picture, values, "weight")
    assert cv2.imread(str(tmp_path / "a" / "b.png")).shape[0] > 128
    write_table(tmp_path / "a" / "c.csv", ("x", "y"), [("a,b", 1), ("odd\udcff", 2)])
    with (tmp_path / "a" / "c.csv").open(errors="surrogateescape", newline="") as file:
        assert list(csv.reader(file)) == [["x", "y"], ["a,b", "1"], ["odd\udcff", "2"]]


def bar_of(tmp_path, values):
    """Returns the column of the color bar, from the top to the bottom, as RGB."""
    picture = heat_map(PLACES, values)
    write_map(tmp_path / "a.png", ("slide",), picture, picture, values, "weight")
    sheet = cv2.imread(str(tmp_path / "a.png"))[..., ::-1]
    return sheet[74:202, -100]


def test_the_color_bar_has_the_colors_of_the_map_and_ends_at_zero_if_none_is_negative(tmp_path):
    signed, positive = (bar_of(tmp_path, np.array([2.0, 0.5, low])) for low in (-1.0, 0.0))
    for bar, bottom in ((signed, [0, 0, 255]), (positive, [255, 255, 255])):
        assert bar[1].tolist() == pytest.approx([255, 0, 0], abs=6)
        assert bar[-2].tolist() == pytest.approx(bottom, abs=6)


def test_a_long_name_of_a_slide_is_not_cut(tmp_path):
    picture, values = heat_map(PLACES, np.ones(3)), np.ones(3)
    widths = []
    for name in ("a", "a" * 200):
        write_map(tmp_path / "a.png", (name,), picture, picture, values, "weight")
        widths.append(cv2.imread(str(tmp_path / "a.png")).shape[1])
    assert widths[1] > 1500 > widths[0]


def test_a_folder_that_cannot_be_made_is_a_plain_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="Cannot write"):
        write_table(tmp_path / "file" / "c.csv", ("x",), [])
