from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssl_kit_histopathology import tissue as module
from ssl_kit_histopathology.slide_files import opened, read_header
from ssl_kit_histopathology.tiles import Tiling, shares
from ssl_kit_histopathology.tissue import overview, tissue_mask

Make = Callable[..., np.ndarray]


def test_tissue_is_told_from_glass(tissue: Make, glass: Make) -> None:
    picture = glass(60, 60)
    picture[20:40, 10:50] = tissue(20, 40)
    expected = np.zeros((60, 60), bool)
    expected[20:40, 10:50] = True
    assert (tissue_mask(picture) == expected).mean() > 0.98


def test_pale_tissue_counts(glass: Make) -> None:
    picture = glass(60, 60)
    picture[:, :30] = (225, 200, 220)
    assert tissue_mask(picture)[:, :29].all()


def test_a_slide_that_is_all_tissue_is_kept_whole(tissue: Make) -> None:
    assert tissue_mask(tissue(60, 60)).all()


@pytest.mark.parametrize("level", [0, 5, 120, 240, 255])
def test_what_has_no_color_is_no_tissue(level: int) -> None:
    noise = np.random.default_rng(0).integers(-2, 3, (60, 60, 3))
    assert not tissue_mask((level + noise).clip(0, 255).astype(np.uint8)).any()


@pytest.mark.parametrize("block", [40, 64, 1024])
def test_the_overview_is_the_slide_made_small(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, block: int, tissue: Make
) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    image = tissue(256, 384)
    with opened(write(image, levels=2)) as slide:
        header = read_header(slide, None)
        tiling = Tiling.choose(header.mpp, header.downsamples, 0.5, 64, 64)
        small = overview(slide, header, tiling)
    expected = cv2.resize(image, (96, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - expected).max() <= 1


def slow_shares(mask: np.ndarray, tile: int, stride: int) -> list[list[float]]:
    height, width = mask.shape
    return [
        [float(mask[r : r + tile, c : c + tile].mean()) for c in range(0, width - tile + 1, stride)]
        for r in range(0, height - tile + 1, stride)
    ]


@pytest.mark.parametrize("stride", [8, 4])
def test_shares_against_loops(stride: int) -> None:
    mask = np.random.default_rng(0).random((24, 36)) < 0.5
    tiling = Tiling.choose(0.5, [1.0], 0.5, 8, stride)
    assert np.allclose(shares(mask, (24, 36), tiling), slow_shares(mask, 8, stride))


def test_shares_of_a_picture_coarser_than_tiles() -> None:
    mask = np.array([[True, False]])
    tiling = Tiling.choose(0.5, [1.0], 0.5, 8, 8)
    assert shares(mask, (16, 64), tiling).tolist() == [[1] * 4 + [0] * 4] * 2
