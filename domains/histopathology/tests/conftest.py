from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from ssl_kit_histopathology.tiff import write_slide

torch.set_num_threads(1)

_HERE = Path(__file__).resolve()
DATA = Path(os.environ.get("SSL_KIT_TEST_DATA", _HERE.parents[4] / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real data; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA} (set SSL_KIT_TEST_DATA)")
    return DATA


def _tissue(height: int, width: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 80, (height // 16 + 2, width // 16 + 2, 3))
    smooth = cv2.resize(coarse.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    return smooth + np.array([140, 30, 110], np.uint8)


def _glass(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(9).integers(-2, 3, (height, width, 3))
    return (240 + noise).astype(np.uint8)


@pytest.fixture
def tissue() -> Callable[..., np.ndarray]:
    """Makes smooth pinkish colors, saturated everywhere, from height, width and seed."""
    return _tissue


@pytest.fixture
def glass() -> Callable[..., np.ndarray]:
    """Makes what a scanner makes of an empty slide, from height and width."""
    return _glass


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes an image as a slide below tmp_path, each further level of half the size."""

    def make(image: np.ndarray, name: str = "a.tif", mpp: float | None = 0.5, levels: int = 1,
             **options: Any) -> Path:  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pyramid = [image]
        for _ in range(levels - 1):
            height, width = (length // 2 for length in pyramid[-1].shape[:2])
            pyramid.append(cv2.resize(pyramid[-1], (width, height), interpolation=cv2.INTER_AREA))
        write_slide(path, pyramid, mpp, **options)
        return path

    return make
