import albumentations as A
import cv2
import numpy as np
import pytest

from ssl_kit import DataError, View
from ssl_kit.core.discovery import domains
from ssl_kit.data.views import Step
from ssl_kit.reports.sheet import (
    clipping,
    contact_sheet,
    shown_sentence,
    to_rgb,
    with_content,
)
from ssl_kit.reports.sheet_drawing import _wrapped
from ssl_kit.reports.steps import step_text


def bands(count, dtype=np.uint8):
    image = np.stack([np.full((6, 6), c + 1) for c in range(count)], axis=2)
    return image.astype(dtype) if dtype == np.uint8 else (image / 255).astype(dtype)


@pytest.mark.parametrize(
    ("channels", "shown"),
    [
        (("gray",), [1, 1, 1]),
        (("vv", "vh"), [1, 1, 1]),
        (("red", "green", "blue"), [1, 2, 3]),
        (("blue", "green", "red", "nir"), [3, 2, 1]),
        (tuple(f"b{c}" for c in range(13)), [1, 2, 3]),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_any_image_is_shown_as_rgb(channels, shown, dtype):
    rgb = to_rgb(bands(len(channels), dtype), channels)
    assert (rgb.shape, rgb.dtype) == ((6, 6, 3), np.uint8)
    assert rgb[2, 3].tolist() == shown


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_sheet_has_a_row_per_image_and_a_column_per_view(memory_dataset, tmp_path, channels):
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 255, (5, 20, 30, channels), dtype=np.uint8))
    domain, out = domains["natural"], tmp_path / "new" / "sheet.png"
    small, large = ((2, 3), (4, 7))
    sizes = []
    for rows, columns in (small, large):
        contact_sheet(domain, memory_dataset(images), View(16), out, rows, columns)
        sizes.append(cv2.imread(str(out)).shape)
    assert sizes[1][0] > 1.5 * sizes[0][0]
    assert sizes[1][1] > 1.5 * sizes[0][1]


def test_the_same_seed_draws_the_same_sheet(memory_dataset, tmp_path):
    images = list(np.random.default_rng(0).integers(0, 255, (3, 20, 20, 3), dtype=np.uint8))
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        args = (domains["natural"], memory_dataset(images), View(16), tmp_path / f"{name}.png")
        contact_sheet(*args, images=2, views=2, seed=seed)
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_unreadable_images_are_left_out(memory_dataset, tmp_path):
    images = [np.zeros((20, 20, 1), np.uint8), "broken"]
    contact_sheet(domains["natural"], memory_dataset(images), View(16), tmp_path / "a.png")
    dataset = memory_dataset([np.zeros((20, 20, 1), np.uint8)])
    dataset.images = ["broken"]
    with pytest.raises(DataError, match="None of the images"):
        contact_sheet(domains["natural"], dataset, View(16), tmp_path / "b.png")


def test_empty_images_are_left_out(memory_dataset):
    rng = np.random.default_rng(0)
    glass = [np.full((20, 20, 3), 240, np.uint8) + rng.integers(0, 3, (20, 20, 3), np.uint8)] * 2
    tissue = [rng.integers(0, 255, (20, 20, 3), dtype=np.uint8) for _ in range(4)]
    dataset = memory_dataset([glass[0], *tissue[:2], glass[1], *tissue[2:]])
    assert [i for i, _ in with_content(dataset, 3)] == [1, 2, 5]
    assert [i for i, _ in with_content(memory_dataset(glass), 2)] == [0, 1]


CROP = {"crop_coords": (0, 0, 10, 5), "shape": (10, 20, 3)}
BENT = np.indices((4, 4)).astype(float)
SHIFT = np.array([[1, 0, 3], [0, 1, 4], [0, 0, 1.0]])


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("ResizedCrop", CROP, "25 %"),
        ("D4", {"group_element": np.str_("r90")}, "turned by 90°"),
        (
            "Tone",
            {"low": 0.05, "high": 1, "gamma": np.float64(1.30957)},
            "low 0.05, high 1, gamma 1.3",
        ),
        ("GaussianBlur", {"kernel": np.array([0.25, 0.5, 0.25])}, "sigma 0.71 px"),
        ("Jpeg", {"quality": 82, "image_type": ".jpg"}, "quality 82"),
        ("Bend", {"map_x": BENT[1] + 3, "map_y": BENT[0] + 4, "fill": 0}, "moved by 5 px"),
        ("Affine", {"rotate": 5.25, "matrix": np.eye(3), "shape": (9, 9, 1)}, "turned by 5.2°"),
        ("Affine", {"rotate": 0, "matrix": SHIFT, "shape": (9, 9, 1)}, "shifted by 5 px"),
        ("Mask", {"hidden": slice(3, 9)}, "hidden 3 to 9 px"),
        ("BandDrop", {"channels": [0, 2]}, "vv, angle"),
        ("Excerpt", {"first": 548, "width": 12.34}, "first 548, width 12"),
        (
            "StainJitter",
            {"alpha": np.array([1, 0.9, 1.1]), "beta": np.zeros(3)},
            "alpha 1/0.9/1.1, beta 0",
        ),
        ("Radiometry", {"gain": np.linspace(0.98, 1.04, 5)}, "gain 0.98 to 1"),
        ("Noise", {"noise": np.ones((2, 8, 8, 3))}, "±3.1 %"),
    ],
)
def test_a_step_is_named_with_what_it_did(name, parameters, words):
    assert step_text(Step(name, parameters, 0.0314), ("vv", "vh", "angle")) == f"{name} {words}"


def test_a_step_that_moves_pixels_has_no_change_of_values():
    assert step_text(Step("HorizontalFlip", {"shape": (4, 4)})) == "HorizontalFlip"


def test_captions_break_lines_between_the_parts_of_a_path():
    assert _wrapped(
        ["test_15deg/BTR60/a_long_name_130170.jpeg", "RandomBrightnessContrast 3 %"]
    ) == [
        "test_15deg/BTR60/a_long_",
        "name_130170.jpeg",
        "RandomBrightnessContrast",
        "3 %",
    ]


@pytest.mark.parametrize(
    ("channels", "curves", "text"),
    [
        (("vv", "vh"), 0, "Gray shows the channel vv (of 2 channels)."),
        (("blue", "green", "red", "nir"), 0,
         "Colors are those of the channels red, green, blue (of 4 channels)."),
        (("F3", "F4"), 4, "Curves show the channels F3, F4."),
    ],
)  # fmt: skip
def test_it_says_which_channels_are_shown(channels, curves, text):
    assert shown_sentence(channels, curves) == text


def brightness(shift, p=1.0):
    return A.RandomBrightnessContrast((shift, shift), (0, 0), p=p)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(("shift", "clipped"), [(0.0, 0), (0.5, 0.5), (1.0, 1)])
def test_clipping_is_the_share_newly_at_the_ends(dtype, shift, clipped):
    ramp = np.tile(np.linspace(0.01, 0.99, 200, dtype=np.float32)[None, :, None], (20, 1, 1))
    image = (ramp * 255).astype(np.uint8) if dtype == np.uint8 else ramp
    clips = clipping(A.Compose([brightness(shift)]), [image], 0)
    assert clips[0].transform == "RandomBrightnessContrast"
    assert clips[0].clipped == pytest.approx(clipped, abs=0.03)


def test_clipping_counts_rare_augmentations_when_they_are_applied():
    image = np.full((8, 8, 1), 0.7, np.float32)
    assert clipping(A.Compose([brightness(0.5, p=0.01)]), [image], 0)[0].clipped == 1
