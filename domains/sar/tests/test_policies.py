from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ssl_kit import View
from ssl_kit.data.views import Renderer
from ssl_kit_sar.aperture import LookMix, PhaseOffset, SubAperture, look_pairs, window_band
from ssl_kit_sar.domain import SAR
from ssl_kit_sar.pixels import Meaning, amplify, from_intensity, phasors, to_intensity
from ssl_kit_sar.signals import compand, intensity, sublooks
from ssl_kit_sar.speckle import Gain, LogNormalSpeckle, Respeckle, Speckle, homogeneity
from ssl_kit_sar.targets import clutter

DB, AMPLITUDE, COMPLEX = ("hh_db",), ("hh_amplitude",), ("hh_real", "hh_imag")
SUBLOOKS = ("vv_look1_db", "vh_look1_db", "vv_look2_db", "vh_look2_db")
KINDS = (("gray",), DB, AMPLITUDE, COMPLEX, SUBLOOKS, ("vv_db", "vh_db"))


def speckle(height: int, width: int, bands: int = 1, seed: int = 0) -> np.ndarray:
    return clutter(np.random.default_rng(seed), height, width, bands)


def image(channels: tuple[str, ...], dtype: str = "float32", size: int = 64) -> np.ndarray:
    if channels == COMPLEX:
        u = compand(0.1 * speckle(size, size))
        return (np.concatenate([u.real, u.imag], axis=2) / 2 + 0.5).astype(np.float32)
    made = np.random.default_rng(0).random((size, size, len(channels)), np.float32)
    return (made * 255).astype(np.uint8) if dtype == "uint8" else made


def flat(level: float, channels: tuple[str, ...], size: int = 200) -> np.ndarray:
    return np.full((size, size, len(channels)), level, np.float32)


def intensities(made: np.ndarray, channels: tuple[str, ...]) -> np.ndarray:
    return to_intensity(made, Meaning.of(channels)).astype(np.float64)


@pytest.mark.parametrize("channels", KINDS)
@pytest.mark.parametrize("policy", ["default", "weak", "upright", "dca", "eval"])
def test_keeps_shape_type_and_range(policy: str, channels: tuple[str, ...]) -> None:
    render = Renderer(SAR.policies, [View(32, policy=policy)] * 2, channels, 0)
    original = image(channels)
    for index in range(8):
        view = render(original, 0, index, 0)
        assert view.shape == (32, 32, len(channels))
        assert view.dtype == np.float32
        assert np.isfinite(view).all()
        assert 0 <= view.min() <= view.max() <= 1


@pytest.mark.parametrize("policy", ["default", "weak", "upright", "dca"])
def test_two_views_differ_and_a_seed_repeats_them(policy: str) -> None:
    render = [Renderer(SAR.policies, [View(32, policy=policy)] * 2, DB, 0) for _ in range(2)]
    original = image(DB)
    assert np.array_equal(render[0](original, 0, 0, 0), render[1](original, 0, 0, 0))
    assert not np.array_equal(render[0](original, 0, 0, 0), render[0](original, 0, 0, 1))


@pytest.mark.parametrize("policy", ["default", "weak", "upright", "dca"])
def test_views_can_be_located(policy: str) -> None:
    """A dot is found where the frame says it is."""
    original = np.zeros((64, 64, 1), np.uint8)
    original[20:23, 40:43] = 255
    render = Renderer({"p": SAR.policies["weak"]}, [View(64, policy="p", locate=True)], ("c",), 0)
    for index in range(8):
        view, frame = render.locate(original, 0, index, 0)
        rows, columns = np.nonzero(view[..., 0] > 128)
        if len(rows):
            place = frame @ [columns.mean() + 0.5, rows.mean() + 0.5, 1]
            assert np.allclose(place, [41.5 / 64, 21.5 / 64], atol=0.03)


def test_never_turns_range_around() -> None:
    original = np.repeat(np.arange(64, dtype=np.uint8)[:, None, None] * 4, 64, axis=1)
    for policy in ("default", "weak", "upright", "dca"):
        render = Renderer(SAR.policies, [View(32, policy=policy)], ("gray",), 0)
        for index in range(12):
            rows = render(original, 0, index, 0).astype(int).mean((1, 2))
            assert rows[:8].mean() < rows[-8:].mean()


def test_upright_does_not_mirror_either() -> None:
    original = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 4, 64, axis=0)
    render = Renderer(SAR.policies, [View(32, policy="upright")], ("gray",), 0)
    for index in range(12):
        columns = render(original, 0, index, 0).astype(int).mean((0, 2))
        assert columns[0] < columns[-1]


def test_small_views_of_multi_crop_are_small() -> None:
    ramp = np.tile(np.linspace(0, 1, 128, dtype=np.float32)[:, None, None], (1, 128, 1))
    views = [View(32, scale=(0.05, 0.25)), View(64, scale=(0.2, 1.0))]
    render = Renderer({"p": SAR.policies["weak"]}, [View(v.size, v.scale, "p") for v in views],
                      ("hh_db",), 0)  # fmt: skip
    spans = np.array([[np.ptp(render(ramp, 0, i, v)) for v in (0, 1)] for i in range(12)])
    assert spans[:, 0].max() < 0.52
    assert spans[:, 1].min() > 0.7


# Intensities


@pytest.mark.parametrize("channels", [DB, AMPLITUDE, ("vv_db", "vh_db")])
def test_amplify_multiplies_the_intensity(channels: tuple[str, ...]) -> None:
    original = 0.5 + 0.2 * image(channels)
    louder = amplify(original, np.full((1, 1, 1), 3.0, np.float32), channels)
    ratio = intensities(louder, channels) / intensities(original, channels)
    assert np.allclose(10 * np.log10(ratio), 3, atol=1e-3)


def test_amplify_of_complex_channels_keeps_the_phase() -> None:
    original, kinds = image(COMPLEX), Meaning.of(COMPLEX)
    quieter = amplify(original, np.full((1, 1, 1), -6.0, np.float32), COMPLEX)
    before, after = phasors(original, kinds), phasors(quieter, kinds)
    there = np.abs(after) > 0.05
    assert np.allclose((np.abs(before) - np.abs(after))[there], 0.1, atol=1e-4)
    assert np.allclose(np.angle(after[there] / before[there]), 0, atol=1e-3)


def test_nothing_comes_from_no_data() -> None:
    for channels in (DB, AMPLITUDE):
        dark = flat(0, channels, 16)
        assert (amplify(dark, np.full((1, 1, 1), 9.0, np.float32), channels) == 0).all()
        assert (Respeckle(channels, p=1)(image=dark)["image"] == 0).all()


def test_intensity_round_trip() -> None:
    original, kinds = image(SUBLOOKS), Meaning.of(SUBLOOKS)
    assert np.allclose(from_intensity(to_intensity(original, kinds), kinds), original, atol=1e-4)


@pytest.mark.parametrize("looks", [1.0, 4.0])
@pytest.mark.parametrize("channels", [DB, AMPLITUDE])
def test_speckle_has_the_moments_of_gamma(channels: tuple[str, ...], looks: float) -> None:
    level = 0.8 if channels == DB else 0.1
    made = Speckle(channels, (looks, looks), p=1)(image=flat(level, channels))["image"]
    ratio = intensities(made, channels) / intensities(flat(level, channels), channels)
    assert ratio.mean() == pytest.approx(1, abs=0.03)
    assert ratio.std() == pytest.approx(1 / np.sqrt(looks), abs=0.04)


def test_log_normal_speckle_is_the_authors_formula() -> None:
    made = LogNormalSpeckle(AMPLITUDE, (0.8, 0.8), p=1)(image=flat(0.5, AMPLITUDE))["image"]
    factor = made / 0.5
    assert factor.max() == pytest.approx(0.8, abs=1e-4)
    assert np.median(factor) == pytest.approx(0.8, abs=1e-4)  # exp(n) is below 0.8 less than half
    low = factor[factor < 0.799]
    assert len(low) / factor.size == pytest.approx(0.4117, abs=0.01)  # P(n < ln 0.8)


def test_respeckle_makes_independent_speckle_that_is_a_little_weaker() -> None:
    power = intensity(speckle(200, 200)) * 0.02
    original = np.sqrt(power)
    made = Respeckle(AMPLITUDE, p=1)(image=original)["image"]
    fresh = made**2
    assert fresh.mean() == pytest.approx(power.mean(), rel=0.05)
    assert fresh.var() / fresh.mean() ** 2 == pytest.approx(0.85, abs=0.05)
    assert np.corrcoef(power.ravel(), fresh.ravel())[0, 1] < 0.45  # a redrawn twin would have 1


def test_respeckle_keeps_scatterers_and_shadow() -> None:
    power = intensity(speckle(100, 100))[..., 0] * 0.001
    power[40:60, 40:60] *= 0.01
    power[70:74, 50:54] = np.array([[0.9, 0.2], [0.3, 0.8]]).repeat(2, 0).repeat(2, 1)
    original = np.sqrt(power)[..., None]
    fresh = Respeckle(AMPLITUDE, p=1)(image=original)["image"][..., 0] ** 2
    assert np.allclose(fresh[70:74, 50:54], power[70:74, 50:54], rtol=0.2)
    assert fresh[44:56, 44:56].mean() == pytest.approx(power[44:56, 44:56].mean(), rel=0.5)


def test_homogeneity_against_loops() -> None:
    power = intensity(speckle(12, 12))
    mean, keep, looks = homogeneity(power, 3)
    variation = np.zeros((10, 10))
    for r in range(1, 11):
        for c in range(1, 11):
            cell = power[r - 1 : r + 2, c - 1 : c + 2].astype(float)
            assert mean[r, c, 0] == pytest.approx(cell.mean(), rel=1e-4)
            variation[r - 1, c - 1] = cell.var() / cell.mean() ** 2
    speckle_of = 1 / looks[0]
    expected = 1 - speckle_of / np.maximum(variation, speckle_of)
    expected[mean[1:-1, 1:-1, 0] > 2 * np.median(mean)] = 1
    assert np.allclose(keep[1:-1, 1:-1, 0], expected, atol=1e-3)


@pytest.mark.parametrize("transform", [Speckle, LogNormalSpeckle, Respeckle])
def test_a_gray_picture_in_three_channels_stays_gray(transform: Any) -> None:
    original = np.repeat(image(("gray",), "uint8"), 3, axis=2)
    made = transform(("red", "green", "blue"), p=1)(image=original)["image"]
    assert np.ptp(made, axis=2).max() <= 1


def test_uint8_images_get_the_same_treatment() -> None:
    original = image(("gray",), "uint8")
    for kind in (Speckle, LogNormalSpeckle, Respeckle, Gain):
        transform = kind(("gray",), p=1)
        transform.set_random_seed(0)  # a gain of almost 0 dB would change no uint8 value
        made = transform(image=original)["image"]
        assert made.dtype == np.uint8
        assert made.shape == original.shape
        assert not np.array_equal(made, original)


def test_gain_stays_in_its_range() -> None:
    made = Gain(DB, 2, p=1)(image=flat(0.5, DB, 8))["image"]
    assert np.ptp(made) == 0
    assert 0 < abs(made[0, 0, 0] - 0.5) <= 2 / 60 + 1e-6


# Apertures


def test_a_part_of_the_band_has_the_same_energy_and_less_resolution() -> None:
    point = np.zeros((64, 64, 1), np.complex64)
    point[32, 32] = 1
    part = window_band(point, 1, 0.5, 0.0)
    assert np.linalg.norm(part) == pytest.approx(1, rel=1e-5)
    assert np.abs(part[32, 31:34, 0]).min() > 0.3
    assert np.abs(part[31, :, 0]).max() < 1e-6


def test_opposite_parts_of_the_band_are_independent() -> None:
    z = speckle(64, 64)
    low, high = (intensity(window_band(z, 1, 0.4, place)).ravel() for place in (-1, 1))
    assert abs(np.corrcoef(low, high)[0, 1]) < 0.1


def test_sub_aperture_changes_speckle_but_not_level() -> None:
    original = image(COMPLEX)
    made = SubAperture(COMPLEX, (0.5, 0.5), p=1)(image=original)["image"]
    before, after = (np.abs(phasors(x, Meaning.of(COMPLEX))) for x in (original, made))
    assert after.mean() == pytest.approx(before.mean(), abs=0.05)
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] < 0.9


def test_phase_offset_turns_all_phases_alike() -> None:
    original, kinds = image(COMPLEX), Meaning.of(COMPLEX)
    made = PhaseOffset(COMPLEX, p=1)(image=original)["image"]
    before, after = phasors(original, kinds), phasors(made, kinds)
    assert np.allclose(np.abs(before), np.abs(after), atol=1e-5)
    there = np.abs(before) > 0.1
    ratio = after[there] / before[there]
    assert np.allclose(ratio, ratio[0], atol=1e-3)


def test_mixed_looks_stay_between_the_two() -> None:
    original = image(SUBLOOKS)
    made = LookMix(SUBLOOKS, p=1)(image=original)["image"]
    for first, second in zip(*look_pairs(SUBLOOKS), strict=True):
        low = np.minimum(original[..., first], original[..., second])
        high = np.maximum(original[..., first], original[..., second])
        for channel in (first, second):
            assert (made[..., channel] >= low - 1e-5).all()
            assert (made[..., channel] <= high + 1e-5).all()


def test_looks_belong_to_their_polarization() -> None:
    assert look_pairs(SUBLOOKS) == ([0, 1], [2, 3])
    assert sublooks(speckle(8, 8, 2)).shape[2] == len(SUBLOOKS)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (("gray",), Meaning((), (), (), (0,))),
        (("vv_db", "vh_db"), Meaning((0, 1), (), (), ())),
        (COMPLEX, Meaning((), (0,), (1,), ())),
        (("a_real", "b_db"), Meaning((1,), (), (), (0,))),
    ],
)
def test_names_tell_what_values_mean(channels: tuple[str, ...], expected: Any) -> None:
    assert Meaning.of(channels) == expected
