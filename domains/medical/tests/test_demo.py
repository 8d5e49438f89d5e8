from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_kit import Config
from ssl_kit_medical.demo import FINDINGS, Demo
from ssl_kit_medical.pairings import neighbor
from ssl_kit_medical.phantom import AIR, draw_head, layers, scan


def demo() -> Demo:
    return Demo.open(Path(), Config())


def test_is_the_same_each_time_and_in_any_order() -> None:
    first, second = demo(), demo()
    chosen = [767, 0, 77]
    images = [first.read(i) for i in chosen]
    again = [second.read(i) for i in reversed(chosen)]
    assert all(np.array_equal(a, b) for a, b in zip(images, reversed(again), strict=True))


def test_is_labeled_evenly_with_one_finding_a_patient() -> None:
    index = demo().index
    assert index.classes == FINDINGS
    assert np.bincount(index.labels).tolist() == [192] * 4
    for group in range(192):
        assert len(set(index.labels[index.groups == group].tolist())) == 1


def test_slices_are_64_pixels_and_not_flat() -> None:
    data = demo()
    for i in range(0, len(data), 150):
        image = data.read(i)
        assert image.shape == (64, 64, 1)
        assert image.std() > 20


def test_slices_have_neighbors() -> None:
    partners = neighbor(demo().index)
    assert set((partners.stops - partners.starts).tolist()) == {2, 3}


@pytest.mark.parametrize("finding", FINDINGS)
def test_shares_of_tissue_are_shares(finding: str) -> None:
    for share, _ in layers(draw_head(finding, np.random.default_rng(0)), 0.1):
        assert share.min() >= 0
        assert share.max() <= 1


def test_air_is_dark_and_noise_there_is_rayleigh() -> None:
    rng = np.random.default_rng(0)
    image = scan(draw_head("healthy", rng), 0.1, (550, 15), np.ones((128, 128)), rng)
    corner = np.concatenate([image[:6, :6], image[-6:, -6:]])
    assert AIR.density == 0
    assert corner.mean() < 0.1 * image.max()
    assert corner.std() / corner.mean() == pytest.approx(np.sqrt(4 / np.pi - 1), rel=0.25)


def test_water_is_dark_in_t1_and_bright_in_t2() -> None:
    rng = np.random.default_rng(0)
    head = draw_head("hydrocephalus", rng)
    t1, t2 = (scan(head, 0.1, echo, np.ones((128, 128)), rng) for echo in ((550, 15), (3500, 95)))
    brain = np.hypot(*np.meshgrid(np.arange(64) - 32, np.arange(64) - 32)) < 14
    water = t2 > 0.8 * t2[brain].max()
    assert t1[brain & water].mean() < 0.7 * t1[brain & ~water].mean()
