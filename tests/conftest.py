"""Shared fixtures: real data where they are there, tiny images otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

torch.set_num_threads(1)  # many times faster for the small work of tests
DATA = Path(os.environ.get("SSL_KIT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture
def real_data() -> Path:
    """The folder with real data; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA} (set SSL_KIT_TEST_DATA)")
    return DATA


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Three classes of ten 40x40 RGB PNG files, each class of its own texture."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(("disc", "noise", "stripes")):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        for i in range(10):
            image = rng.integers(0, 80, (40, 40, 3)).astype(np.uint8)
            if k == 0:
                cv2.circle(image, (20, 20), int(rng.integers(8, 16)), (200, 40, 40), -1)
            elif k == 2:
                image[:, :: int(rng.integers(3, 6))] = 220
            cv2.imwrite(str(folder / f"{i}.png"), image)
    return tmp_path / "images"
