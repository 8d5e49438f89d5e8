"""Shared fixtures: real data where they are there, tiny images otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from ssl_kit import DataError, Dataset, Index
from ssl_kit.training.progress import Progress
from ssl_kit.training.run import Run
from ssl_kit.training.start import start

torch.set_num_threads(1)  # many times faster for the small work of tests
threadpool_limits(1)
os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start
os.fsync = lambda file: None  # no file of a test must outlive a power cut
DATA = Path(os.environ.get("SSL_KIT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture
def real_data() -> Path:
    """The folder with real data; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA} (set SSL_KIT_TEST_DATA)")
    return DATA


def draw_images(root: Path) -> Path:
    """Three classes of ten 40x40 RGB PNG files, each class of its own texture."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(("disc", "noise", "stripes")):
        folder = root / "images" / name
        folder.mkdir(parents=True)
        for i in range(10):
            image = rng.integers(0, 80, (40, 40, 3)).astype(np.uint8)
            if k == 0:
                cv2.circle(image, (20, 20), int(rng.integers(8, 16)), (200, 40, 40), -1)
            elif k == 2:
                image[:, :: int(rng.integers(3, 6))] = 220
            cv2.imwrite(str(folder / f"{i}.png"), image)
    return root / "images"


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """The images of `draw_images`, for a test that changes them."""
    return draw_images(tmp_path)


@pytest.fixture(scope="session")
def shared_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images of `draw_images`, for tests that leave them alone."""
    return draw_images(tmp_path_factory.mktemp("shared"))


def tiny_settings(data: Path) -> dict[str, Any]:
    """Settings of a run that takes well under a second: 24 images, 3 steps an epoch."""
    return {
        "domain": "natural",
        "data": {"path": str(data)},
        "encoder": {"name": "test_resnet", "image_size": 32},
        "objective": {"name": "simclr", "hidden_dim": 32, "out_dim": 16},
        "train": {"epochs": 2, "batch_size": 8, "workers": 0, "precision": "fp32"},
    }


@pytest.fixture
def tiny(shared_images: Path) -> dict[str, Any]:
    """Settings of a tiny run on the shared images."""
    return tiny_settings(shared_images)


@pytest.fixture(scope="session")
def finished_run(shared_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A tiny run trained to its end, for tests that leave it alone."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    return start([tiny_settings(shared_images)], out, Progress(quiet=True))[0]


class MemoryDataset(Dataset):
    """Images from a list; an entry that is a text is a file that cannot be read."""

    def __init__(self, images: Sequence[Any], value_range: Any = None, **columns: Any) -> None:
        super().__init__(value_range=value_range)
        self.images = images
        self.channels = tuple(f"c{c}" for c in range(_width(images)))
        self.index = Index.build([f"image{i}" for i in range(len(images))], **columns)

    def read(self, i: int) -> Any:
        if isinstance(self.images[i], str):
            raise DataError(self.images[i])
        return self.images[i]


def _width(images: Sequence[Any]) -> int:
    return next(image.shape[2] for image in images if not isinstance(image, str))


@pytest.fixture(scope="session")
def memory_dataset() -> type[MemoryDataset]:
    """The class `MemoryDataset`: a dataset made of arrays."""
    return MemoryDataset


@pytest.fixture
def ssl_kit(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in a process of its own, with single-file plugins by name."""

    def run(*args: str, plugins: dict[str, str] | None = None, **env: str) -> Any:
        front = []
        if plugins is not None:
            folder = tmp_path / "plugins"
            folder.mkdir(exist_ok=True)
            for name, source in plugins.items():
                (folder / f"{name}.py").write_text(source)
            front = ["--plugins-dir", str(folder)]
        return subprocess.run(
            [sys.executable, "-m", "ssl_kit.cli", *front, *args],
            capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **env}, check=False,
        )  # fmt: skip

    return run
