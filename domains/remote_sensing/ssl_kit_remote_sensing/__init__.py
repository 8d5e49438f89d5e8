"""Optical remote sensing: the plugins of this package, which are imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ssl_kit import hookimpl

_HERE = __name__


@hookimpl
def register_domains(register: Callable[..., None]) -> None:
    """The domain."""
    register(
        "remote_sensing",
        f"{_HERE}.domain:REMOTE_SENSING",
        summary="Scenes from above: JPEG, PNG and GeoTIFF of any bands.",
    )


@hookimpl
def register_datasets(register: Callable[..., None]) -> None:
    """The GeoTIFF reader and the demo."""
    register(
        "geotiff",
        f"{_HERE}.geotiff:GeoTiff",
        summary="GeoTIFF and JPEG 2000 of any bands, or a file a band; large ones in tiles.",
    )
    register(
        "remote_sensing_demo",
        f"{_HERE}.demo:Demo",
        summary="480 simulated 4-band tiles of six land covers, from sensor physics.",
    )


@hookimpl
def register_recipes(register: Callable[..., None]) -> None:
    """Experiments of papers."""
    register(
        "rs-fewshot",
        Path(__file__).parent / "recipes" / "rs-fewshot.toml",
        summary="BYOL at low resolution, then fine-tuning from few labels.",
    )
