from __future__ import annotations

import logging

import numpy as np
import pytest

from ssl_kit import View
from ssl_kit.data.views import Renderer
from ssl_kit_histopathology.demo import Demo
from ssl_kit_histopathology.domain import HISTOPATHOLOGY
from ssl_kit_histopathology.stains import macenko, reinhard
from ssl_kit_histopathology.transforms import Bend, Macenko, Reinhard, StainJitter

RGB = ("red", "green", "blue")
POLICIES = sorted(HISTOPATHOLOGY.policies)


def tile(i: int = 60) -> np.ndarray:
    return Demo().read(i)


@pytest.mark.parametrize("policy", POLICIES)
def test_two_views_differ_and_a_seed_repeats_them(policy: str) -> None:
    views = [View(32, policy=policy)] * 2
    first, second = (Renderer(HISTOPATHOLOGY.policies, views, RGB, 0) for _ in range(2))
    assert np.array_equal(first(tile(), 0, 0, 0), second(tile(), 0, 0, 0))
    assert not np.array_equal(first(tile(), 0, 0, 0), first(tile(), 0, 0, 1))


def test_stain_is_left_alone_where_there_is_none(caplog: pytest.LogCaptureFixture) -> None:
    render = Renderer(HISTOPATHOLOGY.policies, [View(32)], ("a", "b"), 0)
    with caplog.at_level(logging.INFO, "ssl_kit"):
        assert render(tile()[..., :2].copy(), 0, 0, 0).shape == (32, 32, 2)
    assert "StainJitter" in caplog.text


@pytest.mark.parametrize("policy", ["weak", "upright"])
def test_these_policies_keep_the_stain(policy: str) -> None:
    render = Renderer(HISTOPATHOLOGY.policies, [View(96, (1.0, 1.0), policy)], RGB, 0)
    for index in range(8):
        assert np.array_equal(
            np.sort(render(tile(), 0, index, 0), axis=None), np.sort(tile(), axis=None)
        )


def test_default_turns_all_eight_ways_and_upright_only_mirrors() -> None:
    original = np.zeros((32, 32, 3), np.uint8)
    original[:8, :12] = 255
    seen = {}
    for policy in ("weak", "upright"):
        render = Renderer(HISTOPATHOLOGY.policies, [View(32, (1.0, 1.0), policy)], RGB, 0)
        seen[policy] = {render(original, 0, index, 0).tobytes() for index in range(80)}
    assert len(seen["weak"]) == 8
    assert len(seen["upright"]) == 2


def test_stain_jitter_keeps_to_its_range() -> None:
    transform = StainJitter(scale=0.2, shift=0.05)
    transform.set_random_seed(0)
    drawn = [transform.draw(np.zeros((8, 8, 3), np.uint8)) for _ in range(200)]
    alpha, beta = (np.array([d[name] for d in drawn]) for name in ("alpha", "beta"))
    assert 0.8 <= alpha.min() < 0.85 < 1.15 < alpha.max() <= 1.2
    assert -0.05 <= beta.min() < -0.04 < 0.04 < beta.max() <= 0.05
    assert abs(np.corrcoef(alpha[:, 0], alpha[:, 1])[0, 1]) < 0.2


def test_stain_jitter_of_no_strength_changes_nothing() -> None:
    assert np.array_equal(StainJitter(0, 0, p=1)(image=tile())["image"], tile())


def test_normalizers_are_the_functions() -> None:
    assert np.array_equal(Macenko()(image=tile())["image"], macenko(tile()))
    assert np.array_equal(Reinhard()(image=tile())["image"], reinhard(tile()))


def test_bend_moves_pixels_a_little_and_on_average_not_at_all() -> None:
    ramp = np.tile(np.linspace(0.25, 0.75, 64, dtype=np.float32)[:, None, None], (1, 64, 3))
    moved = [Bend(0.03, p=1)(image=ramp)["image"] - ramp for _ in range(40)]
    inner = np.array(moved)[:, 8:-8, 8:-8]
    assert 0.004 < inner.std() < 0.03  # 0.03 of the side is 0.015 of this ramp
    assert abs(inner.mean()) < 0.003


def test_bend_of_no_strength_changes_nothing() -> None:
    assert np.array_equal(Bend(0, p=1)(image=tile())["image"], tile())


@pytest.mark.parametrize("transform", [StainJitter(p=1), Macenko(), Reinhard(), Bend(p=1)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_keeps_shape_type_and_range(transform: object, dtype: str) -> None:
    image = tile() if dtype == "uint8" else (tile() / 255).astype(np.float32)
    before = image.copy()
    made = transform(image=image)["image"]
    assert (made.shape, made.dtype) == (image.shape, image.dtype)
    assert np.array_equal(image, before)
    assert made.max() <= (255 if dtype == "uint8" else 1)
