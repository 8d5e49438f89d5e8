from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

torch.set_num_threads(1)

_HERE = Path(__file__).resolve()
DATA = Path(os.environ.get("SSL_KIT_TEST_DATA", _HERE.parents[4] / "shared" / "data"))


@pytest.fixture
def real_data() -> Path:
    """The folder with real data; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA} (set SSL_KIT_TEST_DATA)")
    return DATA


Write = Callable[..., Path]


@pytest.fixture
def write_tif(tmp_path: Path) -> Write:
    """Writes (H, W, C) as a raster below tmp_path."""

    def write(image: np.ndarray, name: str = "scene.tif", **profile: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptions = profile.pop("descriptions", None)
        height, width, count = image.shape
        if path.suffix in (".tif", ".tiff"):
            place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
            profile = {"driver": "GTiff", **place, **profile}
        else:
            profile = {"driver": "NITF", "ICAT": "SAR", **profile}
        shape = {"height": height, "width": width, "count": count, "dtype": image.dtype, **profile}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            raster = rasterio.open(path, "w", **shape)
        with raster:
            raster.write(image.transpose(2, 0, 1))
            if descriptions:
                raster.descriptions = descriptions
        return path

    return write
