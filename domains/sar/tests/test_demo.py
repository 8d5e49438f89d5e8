from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_kit_sar.demo import Demo
from ssl_kit_sar.images import SarConfig
from ssl_kit_sar.targets import SIZE, VEHICLES, build, record


def demo(**options: Any) -> Demo:
    return Demo.open(Path(), SarConfig(**options))


def test_is_the_same_each_time_and_in_any_order() -> None:
    first, second = demo(), demo()
    chosen = [479, 0, 77]
    images = [first.read(i) for i in chosen]
    again = [second.read(i) for i in reversed(chosen)]
    assert all(np.array_equal(a, b) for a, b in zip(images, reversed(again), strict=True))


def test_is_labeled_evenly_and_a_group_is_a_vehicle() -> None:
    index = demo().index
    assert index.classes == tuple(sorted(VEHICLES))
    assert np.bincount(index.labels).tolist() == [96] * 5
    assert np.bincount(index.groups).tolist() == [8] * 60


@pytest.mark.parametrize(
    ("values", "channels"),
    [
        ("db", ("hh_db",)),
        ("amplitude", ("hh_amplitude",)),
        ("sublooks", ("hh_look1_db", "hh_look2_db")),
        ("complex", ("hh_real", "hh_imag")),
    ],
)
def test_has_all_kinds_of_values(values: str, channels: tuple[str, ...]) -> None:
    data = demo(values=values)
    sample = data[3]
    assert data.channels == channels
    assert sample.image.shape == (SIZE, SIZE, len(channels))
    assert sample.image.dtype == np.float32
    assert 0 <= sample.image.min() < sample.image.max() <= 1


def test_positions_are_directions_all_around() -> None:
    turns = np.arctan2(*demo().index.positions.T[::-1])
    steps = np.diff(np.unwrap(turns[:8]))
    assert np.allclose(steps, 2 * np.pi / 8, atol=1e-5)


def chip(kind: str, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.abs(record(build(kind, rng), np.pi / 2, np.radians(17), rng)) ** 2


def test_the_shadow_lies_beyond_the_target_and_is_dark() -> None:
    mean = np.mean([chip("tank", seed) for seed in range(20)], axis=0)
    grass = mean[:8].mean()
    bright = np.unravel_index(mean.argmax(), mean.shape)[0]
    dark = np.unravel_index(np.convolve(mean[:, SIZE // 2], np.ones(5), "valid").argmin(), SIZE)[0]
    assert dark < bright
    assert mean[:, 28:36].mean(1).min() < 0.3 * grass
    assert mean.max() > 10 * grass


def test_grass_is_speckle_of_one_look() -> None:
    corners = [chip("truck", seed)[-14::3, :14:3] for seed in range(40)]
    power = np.concatenate([corner.ravel() / corner.mean() for corner in corners])
    assert power.std() == pytest.approx(1, abs=0.15)
