from __future__ import annotations

import cv2
import numpy as np
import pytest

from ssl_kit import View
from ssl_kit.data.views import Renderer
from ssl_kit_medical.domain import MEDICAL
from ssl_kit_medical.policies import crop, elastic
from ssl_kit_medical.transforms import BiasField, RicianNoise, Tone, bias_field

RGB = ("red", "green", "blue")


def renderer(policy: str, channels: tuple[str, ...] = ("gray",), **view: object) -> Renderer:
    views = [View(32, policy=policy, **view)] * 2  # type: ignore[arg-type]
    return Renderer(MEDICAL.policies, views, channels, 0)


def gradient(axis: int, channels: int = 1) -> np.ndarray:
    line = np.linspace(60, 190, 48).astype(np.uint8)
    plane = np.repeat(line[:, None], 48, axis=1)
    return np.repeat((plane if axis == 0 else plane.T)[..., None], channels, axis=2).copy()


def stained() -> np.ndarray:
    image = gradient(0, 3)
    image[..., 1] //= 2
    return image


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("channels", [("gray",), RGB])
@pytest.mark.parametrize("policy", ["default", "weak", "upright"])
def test_a_radiograph_is_never_mirrored(policy: str, channels: tuple[str, ...], axis: int) -> None:
    """Nor is one that was saved in three equal channels."""
    render = renderer(policy, channels)
    for index in range(40):
        view = render(gradient(axis, len(channels)), 0, index, 0)
        line = view[8:24, 8:24, 0].mean(1 - axis)
        assert line[:4].mean() < line[-4:].mean()


@pytest.mark.parametrize("policy", ["default", "weak"])
def test_microscopy_is_turned_all_ways(policy: str) -> None:
    render, ways = renderer(policy, RGB), set()
    for index in range(40):
        view = render(stained(), 0, index, 0).mean(2)
        down, right = view[-8:].mean() - view[:8].mean(), view[:, -8:].mean() - view[:, :8].mean()
        ways.add(
            (
                round(np.sign(down) * (abs(down) > abs(right))),
                round(np.sign(right) * (abs(right) > abs(down))),
            )
        )
    assert len(ways) == 4


def test_upright_microscopy_is_mirrored_left_to_right_only() -> None:
    render = renderer("upright", RGB)
    views = [render(stained(), 0, i, 0) for i in range(9)]
    assert all(view[-1].mean() > view[0].mean() for view in views)


@pytest.mark.parametrize(
    ("asked", "given"),
    [((0.2, 1.0), (0.4, 1.0)), ((0.6, 1.0), (0.6, 1.0)), ((0.05, 0.25), (0.25, 0.25))],
)
def test_crops_are_large(asked: tuple[float, float], given: tuple[float, float]) -> None:
    assert crop(View(32, scale=asked)).scale == given


@pytest.mark.parametrize("size", [64, 96])
def test_elastic_moves_pixels_by_what_it_says(size: int) -> None:
    x = np.tile(np.arange(size, dtype=np.float32) / size, (size, 1))[..., None]
    transform = elastic(size)
    transform.p = 1.0
    transform.set_random_seed(0)
    inside = slice(size // 8, -size // 8)  # pixels at the border come from outside
    moved = [(transform(image=x)["image"] - x)[inside, inside] for _ in range(100)]
    assert np.sqrt(np.mean(np.square(moved))) == pytest.approx(0.0065, rel=0.1)


def test_both_types_get_the_same_tone() -> None:
    image = gradient(0)
    whole, real = Tone(p=1), Tone(p=1)
    given = {"low": 0.1, "high": 0.8, "gamma": 1.3}
    a, b = whole.apply(image, **given), real.apply(image.astype(np.float32) / 255, **given)
    assert np.abs(a / 255 - b).max() <= 0.5 / 255 + 1e-5


def test_a_tone_is_a_window_and_a_gamma() -> None:
    image = np.array([[[0.1], [0.45], [0.8], [0.9]]], np.float32)
    out = Tone(p=1).apply(image, low=0.1, high=0.8, gamma=2.0)
    assert out.ravel() == pytest.approx([0, 0.25, 1, 1])


def test_a_bias_field_is_the_polynomial_it_says() -> None:
    c = np.array([[0, 0.5], [-1, 0]])
    field = bias_field(c, (5, 4), 0.3)
    f = np.array([[0.5 * x - y for x in np.linspace(-1, 1, 4)] for y in np.linspace(-1, 1, 5)])
    f -= f.mean()
    assert np.allclose(np.log(field), f * 0.3 / np.abs(f).max(), atol=1e-6)


def test_a_bias_field_is_smooth_and_common_to_all_channels() -> None:
    image = np.full((32, 32, 4), 0.4, np.float32)
    view = BiasField(strength=0.4, p=1)(image=image)["image"]
    assert np.allclose(view[..., :1], view)
    assert np.abs(np.diff(view, axis=0)).max() < 0.15
    assert np.abs(np.log(view / 0.4)).max() <= 0.4 + 1e-5


def test_a_bias_field_of_one_row() -> None:
    assert np.isfinite(bias_field(np.eye(3), (1, 8), 0.3)).all()


def test_noise_has_the_distribution_of_rice() -> None:
    """Its mean square is x^2 + 2 sigma^2; without signal it is Rayleigh's, sigma sqrt(pi / 2)."""
    noise = RicianNoise(p=1)
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((2, 400, 400, 1)).astype(np.float32) * 0.05
    for signal in (0.0, 0.3):
        x = np.full((400, 400, 1), signal, np.float32)
        out = noise.apply(x, noise=drawn)
        assert (out**2).mean() == pytest.approx(signal**2 + 2 * 0.05**2, rel=0.01)
    dark = noise.apply(np.zeros((400, 400, 1), np.float32), noise=drawn)
    assert dark.mean() == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.01)


def test_a_gray_image_stays_gray_under_noise() -> None:
    gray, color = gradient(0, 3), stained()
    noise = RicianNoise(p=1)
    noisy = noise(image=gray)["image"]
    assert (noisy[..., 0] != gray[..., 0]).any()
    assert np.array_equal(noisy[..., :-1], noisy[..., 1:])
    change = noise(image=color)["image"].astype(int) - color
    assert (change[..., 0] != change[..., 1]).any()


@pytest.mark.parametrize("policy", ["default", "weak", "upright"])
def test_views_can_be_located(policy: str) -> None:
    image = cv2.GaussianBlur(
        np.random.default_rng(0).random((48, 48)).astype(np.float32), (0, 0), 3
    )
    _, frame = renderer(policy, locate=True).locate(image[..., None], 0, 0, 0)
    assert frame.shape == (2, 3)
    assert np.isfinite(frame).all()
