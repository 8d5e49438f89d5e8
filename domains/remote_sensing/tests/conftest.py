from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine

torch.set_num_threads(1)

_HERE = Path(__file__).resolve()
DATA = Path(os.environ.get("SSL_KIT_TEST_DATA", _HERE.parents[4] / "shared" / "data"))


@pytest.fixture(scope="session")
def geotiffs() -> Path:
    folder = DATA / "geotiff"
    if not folder.is_dir():
        pytest.skip(f"the test data are not at {DATA}; SSL_KIT_TEST_DATA says where they are")
    return folder


WriteTif = Callable[..., Path]


@pytest.fixture
def write_tif(tmp_path: Path) -> WriteTif:
    """Writes (H, W, C) as a GeoTIFF below tmp_path."""

    def write(image: np.ndarray, name: str = "scene.tif", **profile: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptions = profile.pop("descriptions", None)
        pixel, at = profile.pop("pixel", 10), profile.pop("at", (5e5, 5e6))
        profile.setdefault("crs", "EPSG:32633")
        profile.setdefault("transform", Affine(pixel, 0, at[0], 0, -pixel, at[1]))
        height, width, count = image.shape
        with rasterio.open(
            path,
            "w",
            driver=profile.pop("driver", "GTiff"),
            height=height,
            width=width,
            count=count,
            dtype=image.dtype,
            **profile,
        ) as raster:
            raster.write(image.transpose(2, 0, 1))
            if descriptions:
                raster.descriptions = descriptions
        return path

    return write
