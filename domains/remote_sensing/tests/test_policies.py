from __future__ import annotations

import numpy as np
import pytest

from ssl_kit import View
from ssl_kit.data.views import Renderer
from ssl_kit_remote_sensing.bands import RGB, wavelengths
from ssl_kit_remote_sensing.domain import REMOTE_SENSING
from ssl_kit_remote_sensing.transforms import BandDrop, Radiometry, Saturation, affine, band_means

NAMES = {3: RGB, 4: ("blue", "green", "red", "nir")}


def image(bands: int, dtype: str, size: int = 48) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, bands), dtype=np.uint8)
    return pixels if dtype == "uint8" else pixels.astype("float32") / 255


def renderer(policy: str, bands: int, seed: int = 0) -> Renderer:
    channels = NAMES.get(bands) or tuple(f"band{band + 1}" for band in range(bands))
    return Renderer(REMOTE_SENSING.policies, [View(32, policy=policy)] * 2, channels, seed)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("bands", [1, 3, 4, 8, 13])
@pytest.mark.parametrize("policy", ["default", "weak", "upright"])
def test_keeps_shape_type_and_range(policy: str, bands: int, dtype: str) -> None:
    render, original = renderer(policy, bands), image(bands, dtype)
    for index in range(20):
        view = render(original, 0, index, 0)
        assert view.shape == (32, 32, bands)
        assert view.dtype == original.dtype
        assert view.min() >= 0
        assert view.max() <= (255 if dtype == "uint8" else 1)


@pytest.mark.parametrize("policy", ["default", "weak", "upright"])
def test_two_views_differ_and_a_seed_repeats_them(policy: str) -> None:
    original = image(4, "uint8")
    first, second = renderer(policy, 4), renderer(policy, 4)
    assert np.array_equal(first(original, 0, 0, 0), second(original, 0, 0, 0))
    assert not np.array_equal(first(original, 0, 0, 0), first(original, 0, 0, 1))


def test_does_not_write_into_the_image() -> None:
    original = image(8, "float32", 32)
    before = original.copy()
    for transform in (Radiometry(p=1), BandDrop(p=1)):
        transform(image=original)
    assert np.array_equal(original, before)


def test_upright_never_turns() -> None:
    original = np.repeat(np.arange(48, dtype=np.uint8)[:, None, None] * 5, 48, axis=1)
    render = renderer("upright", 1)
    for index in range(20):
        rows = render(original, 0, index, 0).astype(int).mean((1, 2))
        assert rows[0] < rows[-1]


@pytest.mark.parametrize(("bands", "expected"), [(3, True), (4, False)])
def test_saturation_is_only_for_red_green_blue(bands: int, expected: bool) -> None:
    channels = NAMES[bands]
    made = REMOTE_SENSING.policies["default"](View(32), channels)
    assert any(isinstance(transform, Saturation) for transform in made) == expected


@pytest.mark.parametrize("bands", [1, 3, 13])
def test_band_means(bands: int) -> None:
    original = image(bands, "uint8")
    assert np.allclose(band_means(original), original.mean((0, 1)), atol=0.01)


def test_both_types_get_the_same_light() -> None:
    gain, offset = np.array([1.3, 0.5, 1], "float32"), np.array([-0.1, 0.2, 0.5], "float32")
    whole = affine(image(3, "uint8"), gain, offset)
    real = affine(image(3, "float32"), gain, offset)
    assert np.abs(whole / 255 - real).max() <= 0.5 / 255 + 1e-5


def test_haze_whitens_short_wavelengths_most() -> None:
    haze = Radiometry((490.0, 665.0, 842.0), gain=0, offset=0, spread=0, haze=1, depth=2, p=1)
    dark = np.zeros((8, 8, 3), np.float32)
    blue, red, nir = haze(image=dark)["image"].mean((0, 1))
    assert blue > red > nir > 0


def test_saturation_keeps_the_brightness_and_changes_the_distance_from_gray() -> None:
    luma, original = [0.299, 0.587, 0.114], image(3, "float32") * 0.2 + 0.4
    view = Saturation(1, p=1)(image=original)["image"]
    assert np.allclose(view @ luma, original @ luma, atol=1e-5)
    ratio = (view - (view @ luma)[..., None]) / (original - (original @ luma)[..., None])
    assert np.allclose(ratio, np.median(ratio), atol=1e-2)


def test_dropped_bands_are_flat() -> None:
    view = BandDrop(share=0.25, p=1)(image=image(8, "uint8"))["image"]
    assert 1 <= (view.std((0, 1)) == 0).sum() <= 2


def test_wavelengths_need_every_name() -> None:
    assert wavelengths(("Blue", "nir")) == (490.0, 842.0)
    assert wavelengths(("blue", "band2")) == ()


def test_light_leaves_indices_as_they_are_and_thermal_bands_nearly() -> None:
    channels = ("red", "nir", "thermal", "ndvi")
    made = REMOTE_SENSING.policies["default"](View(32), channels)
    light = next(transform for transform in made if isinstance(transform, Radiometry))
    kind = (light.wavelengths, light.sunlit, light.measured)
    strong = Radiometry(*kind, gain=0.4, offset=0.2, spread=0, haze=1, p=1)
    original = image(4, "float32")
    for seed in range(20):
        strong.set_random_seed(seed)
        view = strong(image=original)["image"]
        assert np.allclose(view[..., 2:], original[..., 2:], atol=1e-6)
        assert not np.allclose(view[..., :2], original[..., :2], atol=1e-2)
    own = Radiometry(*kind, spread=0.1, p=1)
    view = own(image=original)["image"]
    assert np.allclose(view[..., 3], original[..., 3], atol=1e-6)
    assert not np.allclose(view[..., 2], original[..., 2], atol=1e-4)


def test_gray_haze_leaves_indices_as_they_are() -> None:
    made = REMOTE_SENSING.policies["default"](View(32), ("a", "b", "ndvi"))
    light = next(transform for transform in made if isinstance(transform, Radiometry))
    assert light.wavelengths == ()
    assert light.measured == (True, True, False)


def test_colors_with_an_index_are_not_desaturated() -> None:
    made = REMOTE_SENSING.policies["default"](View(32), (*RGB, "ndvi"))
    assert not any(isinstance(transform, Saturation) for transform in made)


def test_names_that_the_vocabulary_spells_otherwise_are_asked_about(caplog) -> None:
    caplog.set_level("INFO")
    REMOTE_SENSING.policies["default"](View(16), ("red", "swir2", "dem"))
    assert "Did you mean 'swir_2' for 'swir2'? Haze" in caplog.text
