from __future__ import annotations

from typing import Any

import albumentations as A
import numpy as np
import pytest

from ssl_kit.core.view import View
from ssl_kit.data import Excerpt, Level, Mask, Noise, Scale, SignFlip, assume_time_to_the_right
from ssl_kit.data.views import Renderer
from ssl_kit_eeg.domain import EEG
from ssl_kit_eeg.kinds import kind_of
from ssl_kit_eeg.transforms import DropChannels, FrequencyShift

KINDS = {
    "eeg": (("Cz_uv", "Pz_uv"), (1, 300, 2)),
    "wearable": (("eda_us", "hr_bpm"), (1, 300, 2)),
    "grid": (("grid",), (8, 300, 1)),
    "picture": (("Cz_mel", "Pz_mel"), (45, 65, 2)),
    "map": (("delta_map", "alpha_map"), (64, 64, 2)),
}
SIZE = 64


def image_of(kind: str, seed: int = 0) -> np.ndarray:
    shape = KINDS[kind][1]
    smooth = np.random.default_rng(seed).normal(0, 0.1, shape).cumsum(axis=1)
    return (0.5 + 0.2 * smooth / np.abs(smooth).max()).astype(np.float32)


def applied(transform: Any, image: np.ndarray, seed: int = 0) -> np.ndarray:
    pipeline = A.Compose([transform])
    pipeline.set_random_seed(seed)
    return pipeline(image=image)["image"].reshape(*image.shape[:1], -1, image.shape[2])


def kinds_of(policy: str, kind: str) -> set[str]:
    return {type(t).__name__ for t in EEG.policies[policy](View(SIZE), KINDS[kind][0])}


@pytest.mark.parametrize("kind", KINDS)
def test_the_names_tell_what_an_image_is(kind: str) -> None:
    assert kind_of(KINDS[kind][0]) == kind


def test_other_names_are_pictures_of_time_and_frequency() -> None:
    for names in (("gray",), ("red", "green", "blue"), ("c0", "c1"), ("Cz_uv", "eda_us"), ("g",)):
        assert kind_of(names) == "picture"


@pytest.mark.parametrize("policy", sorted(EEG.policies))
@pytest.mark.parametrize("kind", KINDS)
def test_views_have_the_size_asked_for(kind: str, policy: str) -> None:
    channels, image = KINDS[kind][0], image_of(kind)
    renderer = Renderer(EEG.policies, (View(SIZE, policy=policy),), channels, 0)
    view = renderer(image, 0, 0, 0)
    assert view.shape == (1 if image.shape[0] == 1 else SIZE, SIZE, len(channels))
    assert 0 <= view.min() < view.max() <= 1


@pytest.mark.parametrize("policy", sorted(EEG.policies))
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_mirrored_or_turned(kind: str, policy: str) -> None:
    left_out = {"HorizontalFlip", "VerticalFlip", "Rotate", "D4", "Transpose", "RandomRotate90"}
    assert not kinds_of(policy, kind) & left_out


def test_signs_and_frequencies_of_eeg_only() -> None:
    assert {"SignFlip", "FrequencyShift"} <= kinds_of("default", "eeg")
    for kind in ("wearable", "picture", "map"):
        assert not kinds_of("default", kind) & {"SignFlip", "FrequencyShift"}
    assert not kinds_of("upright", "eeg") & {"SignFlip", "FrequencyShift", "Mask"}


@pytest.mark.parametrize("kind", ["eeg", "wearable"])
def test_a_signal_is_cut_and_never_resized(kind: str) -> None:
    channels, image = KINDS[kind][0], image_of(kind)
    renderer = Renderer(EEG.policies, (View(SIZE, policy="weak"),) * 8, channels, 0)
    starts = set()
    for v in range(8):
        view = renderer(image, 0, 0, v)
        found = [s for s in range(300 - SIZE + 1) if np.array_equal(image[:, s : s + SIZE], view)]
        starts.update(found)
        assert len(found) == 1
    assert len(starts) > 4


def test_the_whole_of_a_signal_is_its_middle() -> None:
    image = image_of("eeg")
    view = Renderer(EEG.policies, (View(SIZE, policy="eval"),), KINDS["eeg"][0], 0)(image, 0, 0, 0)
    assert np.array_equal(view, image[:, 118 : 118 + SIZE])


@pytest.mark.parametrize("kind", ["eeg", "grid", "picture"])
def test_a_view_knows_its_time(kind: str) -> None:
    channels, image = KINDS[kind][0], image_of(kind)
    image[:] = np.linspace(0, 1, image.shape[1], dtype=np.float32)[:, None]
    view = View(SIZE, policy="weak", locate=True)
    for epoch in range(4):
        renderer = Renderer(EEG.policies, (view,), channels, 0)
        seen, frame = renderer.locate(image, epoch, 0, 0)
        middle = frame @ [SIZE / 2, seen.shape[0] / 2, 1]
        assert middle[0] == pytest.approx(
            seen[0, SIZE // 2 - 1 : SIZE // 2 + 1, 0].mean(), abs=0.02
        )
        assert middle[1] == pytest.approx(0.5, abs=1e-5)


def test_a_large_picture_shows_most_of_its_time_and_all_frequencies() -> None:
    image = image_of("picture")
    image[:] = np.linspace(0, 1, 45, dtype=np.float32)[:, None, None]
    out = applied(Excerpt(90, share=(0.6, 0.6)), image[:, :, :1])
    assert out.min() < 0.03
    assert out.max() > 0.97


def test_a_short_signal_repeats_its_ends() -> None:
    out = applied(Excerpt(80, place=0.5), image_of("eeg")[:, :60])
    assert out.shape == (1, 80, 2)
    assert (out[:, :10] == out[:, :1]).all()


def test_rows_of_a_grid_stay_channels() -> None:
    out = Renderer(EEG.policies, (View(SIZE, policy="eval"),), ("grid",), 0)(
        image_of("grid"), 0, 0, 0
    )
    assert len(np.unique(out[..., 0], axis=0)) == 8


def test_scaling_leaves_zero_or_the_mean() -> None:
    image = image_of("eeg")
    out = applied(Scale((1.3, 1.3), True, p=1), image)
    np.testing.assert_allclose(out - 0.5, 1.3 * (image - 0.5), atol=1e-6)
    out = applied(Scale((0.8, 0.8), False, p=1), image)
    np.testing.assert_allclose(out.mean(axis=1), image.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(out.std(axis=1), 0.8 * image.std(axis=1), rtol=1e-4)


def test_a_sign_flip_is_its_own_reverse() -> None:
    image = image_of("eeg")
    once = applied(SignFlip(p=1), image)
    np.testing.assert_allclose(once, 1 - image)
    np.testing.assert_allclose(applied(SignFlip(p=1), once), image, atol=1e-6)


def test_noise_has_the_ratio_asked_for_in_each_channel() -> None:
    image = (0.5 + 0.05 * np.random.default_rng(0).normal(size=(1, 20000, 2))).astype(np.float32)
    image[..., 1] = 0.5 + (image[..., 1] - 0.5) / 5
    noise = applied(Noise((20, 20), p=1), image) - image
    ratio = 10 * np.log10(image.var(axis=1) / noise.var(axis=1))
    np.testing.assert_allclose(ratio, 20, atol=0.3)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_mask_hides_one_stretch_in_all_channels(axis: int) -> None:
    image = image_of("picture")
    widths = set()
    for seed in range(8):
        changed = (applied(Mask(axis, 0.2, p=1), image, seed) != image).all(axis=(1 - axis, 2))
        where = np.flatnonzero(changed)
        assert len(where) <= round(0.2 * image.shape[axis])
        assert len(where) < 2 or len(where) == where[-1] - where[0] + 1
        widths.add(len(where))
    assert len(widths) > 3


def test_a_dropped_channel_is_silent_and_one_stays() -> None:
    for seed in range(5):
        spread = applied(DropChannels(2, 1.0, p=1), image_of("eeg"), seed).std(axis=1)
        assert (spread < 1e-6).sum() == 1
        rows = applied(DropChannels(0, 0.25, p=1), image_of("grid"), seed).std(axis=1)
        assert 1 <= (rows < 1e-6).sum() <= 2


def test_a_shift_moves_frequencies_by_hertz() -> None:
    time = np.arange(1024)
    image = (0.5 + 0.1 * np.sin(2 * np.pi * 10 / 128 * time))[None, :, None].astype(np.float32)
    transform = FrequencyShift(1 / 64, p=1)
    transform.draw = lambda image: {"by": 1 / 64}
    out = transform(image=image)["image"][0, :, 0] - 0.5
    assert np.abs(np.fft.rfft(out)).argmax() == (10 + 2) * 8
    assert out.std() == pytest.approx(0.1 / np.sqrt(2), rel=0.02)


def test_a_level_is_added_to_all() -> None:
    image = image_of("picture")
    steps = np.unique((applied(Level(0.1, p=1), image) - image).round(4))
    assert len(steps) <= 2
    assert np.abs(steps).max() <= 0.1


def test_ordinary_pictures_are_said_to_be_of_signals(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assume_time_to_the_right.cache_clear()
    EEG.policies["default"](View(16), ("Cz_mel", "Pz_mel"))
    assert not caplog.text
    for name in ("default", "weak"):
        EEG.policies[name](View(16), ("red", "green", "blue"))
    assert caplog.text.count("taken for pictures of signals, with time to the right") == 1
