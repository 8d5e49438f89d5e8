from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssl_kit_histopathology import overview as module
from ssl_kit_histopathology.overview import overview
from ssl_kit_histopathology.slide_files import opened, read_header
from ssl_kit_histopathology.tiles import Tiling, shares
from ssl_kit_histopathology.tissue import Tissue, find_tissue

Make = Callable[..., np.ndarray]


def test_tissue_is_told_from_glass(tissue: Make, glass: Make) -> None:
    picture = glass(60, 60)
    picture[20:40, 10:50] = tissue(20, 40)
    expected = np.zeros((60, 60), bool)
    expected[20:40, 10:50] = True
    assert (find_tissue(picture).mask == expected).mean() > 0.98


def test_pale_tissue_counts(glass: Make) -> None:
    picture = glass(60, 60)
    picture[:, :30] = (225, 200, 220)
    assert find_tissue(picture).mask[:, :29].all()


def test_a_slide_that_is_all_tissue_is_kept_whole(tissue: Make) -> None:
    assert find_tissue(tissue(60, 60)).mask.all()


def on_glass(color: tuple[int, int, int], glass: tuple[int, int, int] = (245, 245, 245)) -> Tissue:
    """Finds the tissue on a picture (60, 60) whose middle rows 20 to 40 have a color."""
    picture = np.full((60, 60, 3), glass, np.uint8)
    picture[20:40] = color
    noise = np.random.default_rng(0).integers(-1, 2, picture.shape)
    return find_tissue((picture + noise).clip(0, 255).astype(np.uint8))


STAINS = {
    "eosin": (220, 150, 190),
    "hematoxylin": (90, 80, 160),
    "dark hematoxylin": (60, 60, 140),
    "light blue counterstain": (180, 195, 220),
    "blue counterstain": (120, 150, 200),
    "DAB": (110, 70, 40),
    "dark DAB": (70, 40, 25),
    "pale DAB": (205, 180, 155),
    "blood": (190, 60, 70),
    "very pale": (238, 232, 240),
    "palest": (241, 237, 243),
}
INKS = {
    "blue": (30, 70, 200),
    "light blue": (120, 170, 200),
    "dark blue": (40, 50, 150),
    "green": (30, 150, 80),
    "teal": (20, 110, 110),
    "red": (210, 25, 35),
}


@pytest.mark.parametrize("stain", STAINS)
def test_stains_are_tissue(stain: str) -> None:
    tissue = on_glass(STAINS[stain])
    assert tissue.mask[21:39].all()
    assert not tissue.mask[:19].any()
    assert not tissue.pen.any()


@pytest.mark.parametrize("ink", INKS)
def test_ink_is_no_tissue(ink: str) -> None:
    tissue = on_glass(INKS[ink])
    assert tissue.pen[21:39].all()
    assert not tissue.mask.any()


@pytest.mark.parametrize("gray", [(25, 25, 28), (60, 60, 66), (90, 90, 98), (200, 200, 203)])
def test_black_ink_and_shadows_are_no_tissue(gray: tuple[int, int, int]) -> None:
    assert not on_glass(gray).mask.any()


@pytest.mark.parametrize("glass", [(243, 238, 228), (228, 232, 243), (215, 215, 215)])
def test_the_tint_of_the_glass_does_not_count(glass: tuple[int, int, int]) -> None:
    tissue = on_glass((200, 150, 190), glass)
    assert tissue.mask[21:39].all()
    assert not tissue.mask[:19].any()


def test_pale_tissue_beside_dark_tissue_counts(glass: Make) -> None:
    picture = glass(60, 60)
    picture[:20], picture[20:40] = (90, 30, 100), (230, 218, 228)
    assert find_tissue(picture).mask[:39].all()


def test_tinted_glass_beside_white_that_was_filled_in_is_no_tissue() -> None:
    picture = np.full((60, 60, 3), 255, np.uint8)
    picture[20:], picture[50:] = (242, 237, 240), (180, 90, 150)
    assert find_tissue(picture).mask.any(1).tolist() == [False] * 50 + [True] * 10


def test_what_the_slide_lacks_is_no_glass() -> None:
    picture = np.full((60, 60, 3), 255, np.uint8)
    picture[20:], picture[50:] = (243, 236, 226), (180, 90, 150)
    scanned = np.arange(60)[:, None].repeat(60, 1) >= 20
    assert find_tissue(picture, scanned).mask.any(1).tolist() == [False] * 50 + [True] * 10


def test_the_threshold_can_be_set() -> None:
    picture = np.full((60, 60, 3), 245, np.uint8)
    picture[:30] = (242, 240, 244)  # a saturation of 2.7 of 255
    assert not find_tissue(picture).mask.any()
    assert find_tissue(picture, threshold=1.5).mask[:29].all()


@pytest.mark.parametrize("level", [0, 5, 120, 240, 255])
def test_what_has_no_color_is_no_tissue(level: int) -> None:
    noise = np.random.default_rng(0).integers(-2, 3, (60, 60, 3))
    assert not find_tissue((level + noise).clip(0, 255).astype(np.uint8)).mask.any()


@pytest.mark.parametrize("block", [40, 64, 1024])
def test_the_overview_is_the_slide_made_small(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, block: int, tissue: Make
) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    image = tissue(256, 384)
    with opened(write(image, levels=2)) as slide:
        header = read_header(slide, None)
        tiling = Tiling.choose(header.mpp, header.downsamples, 0.5, 64, 64)
        small, scanned = overview(slide, header, tiling)
    expected = cv2.resize(image, (96, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - expected).max() <= 1
    assert scanned.all()


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
