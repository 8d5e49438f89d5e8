import logging

import albumentations as A
import cv2
import numpy as np
import pytest

from ssl_kit import PluginError, UnknownNameError, View
from ssl_kit.core.discovery import domains
from ssl_kit.data import if_channels, resized_crop
from ssl_kit.data.views import Renderer, changed

TWO = (View(16), View(16))
CHANNELS = {1: ("gray",), 2: ("vv", "vh"), 3: ("red", "green", "blue"), 4: tuple("rgbn")}


def make(channels=3, views=TWO, seed=0, **policies):
    names = CHANNELS.get(channels, tuple(f"b{c}" for c in range(channels)))
    return Renderer({**domains["natural"].policies, **policies}, views, names, seed)


def picture(channels=3, dtype=np.uint8, size=(40, 50)):
    values = np.random.default_rng(7).random((*size, channels))
    return (values * 255).astype(np.uint8) if dtype == np.uint8 else values.astype(dtype)


def test_pixels_depend_on_the_address_only_not_on_what_came_before():
    image, used = picture(), make()
    for i in range(5):
        used(picture(size=(30, 60)), i, i, i % 2)
    np.testing.assert_array_equal(used(image, 3, 8, 1), make()(image, 3, 8, 1))


@pytest.mark.parametrize("address", [(1, 5, 0), (0, 6, 0), (0, 5, 1)])
def test_another_epoch_image_or_view_gives_other_pixels(address):
    image, render = picture(), make()
    assert not np.array_equal(render(image, 0, 5, 0), render(image, *address))


def test_another_seed_gives_other_pixels():
    image = picture()
    assert not np.array_equal(make(seed=1)(image, 0, 0, 0), make(seed=2)(image, 0, 0, 0))


@pytest.mark.parametrize("policy", ["default", "weak", "upright", "eval"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 13])
def test_any_channels_and_types_keep_their_range(channels, dtype, policy):
    render = make(channels, [View(16, policy=policy)])
    for index in range(8):
        out = render(picture(channels, dtype), 0, index, 0)
        assert (out.shape, out.dtype) == ((16, 16, channels), dtype)
        assert out.flags.c_contiguous
        assert 0 <= out.min() <= out.max() <= (255 if dtype == np.uint8 else 1)


def test_the_image_itself_is_left_alone():
    image, render = picture(), make(views=[View(40, scale=(1, 1))])
    before = image.copy()
    for index in range(20):
        render(image, 0, index, 0)
    np.testing.assert_array_equal(image, before)


def test_channels_stay_in_their_order():
    image = np.stack([np.full((40, 40), 20 * c, np.uint8) for c in range(13)], axis=2)
    render = Renderer({"default": lambda v, c: [resized_crop(v)]}, [View(16)], list("x" * 13), 0)
    np.testing.assert_array_equal(render(image, 0, 0, 0)[3, 4], 20 * np.arange(13))


@pytest.mark.parametrize("size", [(40, 50), (7, 90), (16, 16), (3, 3)])
def test_eval_shows_the_center_at_the_size(size):
    render = make(views=[View(16, policy="eval")])
    image = picture(size=size)
    first = render(image, 0, 0, 0)
    assert first.shape == (16, 16, 3)
    np.testing.assert_array_equal(first, render(image, 1, 2, 0))


def test_a_domain_with_only_a_default_policy_has_the_others():
    policies = {"default": lambda view, channels: [resized_crop(view)]}
    views = [View(8, policy=name) for name in ("default", "weak", "upright", "eval")]
    render = Renderer(policies, views, ("a", "b"), 0)
    assert {render(picture(2), 0, 0, v).shape for v in range(4)} == {(8, 8, 2)}


def test_changes_respect_what_an_objective_depends_on():
    assert changed(View(8), "weak", 0.5) == View(8, scale=(0.5, 1.0), policy="weak")
    upright, local, whole = (
        View(8, policy="upright"),
        View(8, scale=(0.05, 0.14)),
        View(8, policy="eval"),
    )
    assert changed(upright, "weak") == upright
    assert changed(local, min_area=0.5) == local
    assert changed(whole, "weak", 0.5) == whole


def test_an_unknown_policy_is_named_at_once():
    with pytest.raises(UnknownNameError, match=r"policy 'weka'. Did you mean 'weak'"):
        make(views=[View(8, policy="weka")])


def test_the_crop_covers_the_asked_share():
    ramp = np.tile(np.arange(100, dtype=np.float32)[:, None, None] / 100, (1, 100, 1))
    render = Renderer({"default": lambda v, c: [resized_crop(v)]}, [View(25, (0.04, 0.04))], "a", 0)
    spans = [np.ptp(render(ramp, 0, i, 0)) for i in range(50)]
    assert 0.1 < np.mean(spans) < 0.3


def test_only_with_gives_the_transforms_to_the_right_channels():
    assert len(if_channels(("red",), ["red"], A.ToGray(p=1), A.ToGray(p=1))) == 2


def test_only_with_logs_what_it_leaves_out(caplog):
    with caplog.at_level(logging.INFO, "ssl_kit"):
        assert if_channels(("r", "g"), ("vv", "vh"), A.ToGray(p=1), A.HorizontalFlip()) == []
        assert if_channels(("r", "g"), ("gray",), A.ToGray(p=1)) == []
        assert if_channels(("gray",), ("r", "g"), A.RandomBrightnessContrast()) == []
    assert caplog.messages == [
        "Left out of the augmentations: ToGray, HorizontalFlip, for images with the channels r, g; "
        "these have vv, vh."
    ]


def test_a_view_of_another_size_is_the_plugins_fault():
    render = make(default=lambda view, channels: [A.Resize(9, 9)])
    with pytest.raises(PluginError, match=r"'default' made a view of shape \(9, 9, 3\); \(16, 16"):
        render(picture(), 0, 0, 0)


def test_a_signal_is_an_image_of_height_1():
    crop = A.RandomCrop(1, 64)
    render = Renderer({"default": lambda v, c: [crop]}, [View(64)], ("c3", "c4"), 0)
    assert render(picture(2, np.float32, (1, 300)), 0, 0, 0).shape == (1, 64, 2)


def ramp(height=60, width=80):
    """An image whose two channels say where in it a pixel's center lies, in shares."""
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    return np.stack([x / width, y / height], axis=2)


def centers_in_pixels(size):
    y, x = np.mgrid[:size, :size] + 0.5
    return np.stack([x, y, np.ones_like(x)], axis=2)


def inside(view):
    """Tells which pixels have no neighbor that is filled, or outside."""
    shown = (view > 0).all(axis=2).astype(np.uint8)
    return cv2.erode(shown, np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0


TURNED = {
    "crop": [],
    "mirror": [A.HorizontalFlip(p=1)],
    "upside_down": [A.VerticalFlip(p=1)],
    "transpose": [A.Transpose(p=1)],
    "quarters": [A.RandomRotate90(p=1)],
    "symmetries": [A.D4(p=1)],
    "rotation": [A.Rotate(40, interpolation=1, p=1)],
    "affine": [A.Affine(scale=(0.8, 1.2), rotate=(-30, 30), shear=(-10, 10), p=1)],
    "pixels_only": [A.GaussianBlur(p=0), A.CoarseDropout(fill=-1, p=1)],
}


@pytest.mark.parametrize("name", TURNED)
@pytest.mark.parametrize("size", [15, 32, 100])
def test_a_frame_says_which_place_of_the_image_a_pixel_shows(name, size):
    def policy(view, channels):
        return [resized_crop(view), *TURNED[name]]

    views = [View(size, scale=(0.3, 1), locate=True)]
    render, image = Renderer({"default": policy}, views, ("x", "y"), 0), ramp()
    for index in range(12):
        view, frame = render.locate(image, 0, index, 0)
        expected = centers_in_pixels(size) @ frame.T
        inner = inside(view)
        gap = np.linalg.inv(frame[:, :2]) @ (view - expected)[inner].T  # in pixels of the view
        assert inner.sum() > 30
        assert np.abs(gap).max() < 1
        assert np.abs(np.median(gap, axis=1)).max() < 0.4


@pytest.mark.parametrize("name", ["mirror", "quarters", "symmetries"])
def test_a_frame_of_the_whole_image_is_exact(name):
    def policy(view, channels):
        return [A.Resize(view.size, view.size), *TURNED[name]]

    views = [View(40, locate=True)]
    render = Renderer({"default": policy}, views, ("x", "y"), 0)
    for index in range(12):
        view, frame = render.locate(ramp(40, 40), 0, index, 0)
        np.testing.assert_allclose(centers_in_pixels(40) @ frame.T, view, atol=1e-5)


@pytest.mark.parametrize("size", [(60, 80), (80, 61), (20, 90)])
def test_the_eval_view_is_located(size):
    views = [View(32, policy="eval", locate=True)]
    view, frame = Renderer({}, views, ("x", "y"), 0).locate(ramp(*size), 0, 0, 0)
    expected = centers_in_pixels(32) @ frame.T
    assert np.abs(view - expected)[inside(view)].max() < 0.6 / 32 * max(size) / min(size)


def test_a_frame_of_the_uncut_image_is_its_scale():
    policies = {"default": lambda view, channels: [A.Resize(view.size, view.size)]}
    render = Renderer(policies, [View(16, locate=True)], ("x", "y"), 0)
    _, frame = render.locate(ramp(), 0, 0, 0)
    np.testing.assert_allclose(frame, [[1 / 16, 0, 0], [0, 1 / 16, 0]], atol=1e-7)


def test_a_signal_is_located():
    policies = {"default": lambda view, channels: [A.RandomCrop(1, 64)]}
    render = Renderer(policies, [View(64, locate=True)], ("x", "y"), 0)
    for index in range(5):
        view, frame = render.locate(ramp(1, 300), 0, index, 0)
        points = np.column_stack([np.arange(64) + 0.5, np.full(64, 0.5), np.ones(64)])
        np.testing.assert_allclose(points @ frame.T, view[0], atol=1e-5)


@pytest.mark.parametrize("policy", ["default", "weak", "upright", "eval"])
def test_locating_a_view_leaves_its_pixels_alone(policy):
    plain, located = (make(views=[View(16, policy=policy, locate=on)]) for on in (False, True))
    for index in range(10):
        view, frame = plain.locate(picture(), 0, index, 0)
        again, known = located.locate(picture(), 0, index, 0)
        np.testing.assert_array_equal(view, again)
        assert (frame.shape, known.shape) == ((0, 3), (2, 3))
        assert known.dtype == np.float32
