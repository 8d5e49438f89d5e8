from __future__ import annotations

import numpy as np
import pytest

from ssl_kit_histopathology.demo import Demo
from ssl_kit_histopathology.stains import UNMIX, optical_density
from ssl_kit_histopathology.tissue_model import SIZE, TISSUES, Stain, scan


def test_is_the_same_each_time_and_in_any_order() -> None:
    first, second = Demo(), Demo()
    chosen = [587, 0, 77]
    images = [first.read(i) for i in chosen]
    again = [second.read(i) for i in reversed(chosen)]
    assert all(np.array_equal(a, b) for a, b in zip(images, reversed(again), strict=True))


def test_a_group_is_a_slide_with_several_tissues() -> None:
    index = Demo().index
    assert index.classes == tuple(sorted(TISSUES))
    assert np.bincount(index.groups).tolist() == [49] * 12
    assert np.bincount(index.labels).min() >= 80
    assert all(len(set(index.labels[index.groups == g])) > 2 for g in range(12))


def test_neighbors_are_mostly_of_one_tissue() -> None:
    index = Demo().index
    rows = index.labels.reshape(12, 7, 7)
    assert (rows[:, :, 1:] == rows[:, :, :-1]).mean() > 0.6


def test_images_keep_to_the_contract() -> None:
    sample = Demo()[3]
    assert sample.image.shape == (SIZE, SIZE, 3)
    assert sample.image.dtype == np.uint8
    assert sample.channels == ("red", "green", "blue")


def concentrations(tissue: str) -> np.ndarray:
    """Mean hematoxylin and eosin of a tissue over twelve slides."""
    tiles = [
        scan(tissue, Stain.draw(np.random.default_rng(s)), np.random.default_rng(s))
        for s in range(12)
    ]
    return np.mean([(optical_density(tile) @ UNMIX).mean((0, 1)) for tile in tiles], axis=0)


def test_tissues_are_stained_as_they_are() -> None:
    h = {tissue: concentrations(tissue)[0] for tissue in TISSUES}
    e = {tissue: concentrations(tissue)[1] for tissue in TISSUES}
    assert h["lymphocytes"] > h["gland"] > h["fat"]
    assert h["tumor"] > h["stroma"]
    assert e["stroma"] > e["tumor"] > e["fat"]


def test_slides_differ_in_stain() -> None:
    tiles = [scan("stroma", Stain.draw(np.random.default_rng(s)), np.random.default_rng(0))
             for s in range(12)]  # fmt: skip
    assert np.std([tile.mean((0, 1)) for tile in tiles], axis=0).min() > 2


@pytest.mark.parametrize("tissue", sorted(TISSUES))
def test_a_tissue_varies(tissue: str) -> None:
    stain = Stain.draw(np.random.default_rng(0))
    a, b = (scan(tissue, stain, np.random.default_rng(seed)) for seed in (1, 2))
    assert np.abs(a.astype(int) - b).mean() > 5
