"""Radar images: the plugins of this package, which are imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ssl_kit import hookimpl

_HERE = __name__


@hookimpl
def register_domains(register: Callable[..., None]) -> None:
    """The domain."""
    register(
        "sar",
        f"{_HERE}.domain:SAR",
        summary="Radar images: target chips and scenes, complex or detected.",
    )


@hookimpl
def register_datasets(register: Callable[..., None]) -> None:
    """The readers and the demo."""
    register(
        "sar_raster",
        f"{_HERE}.raster:SarRaster",
        summary="Radar GeoTIFF, NITF (SICD) and .npy, complex or detected, in tiles.",
    )
    register(
        "mstar_phoenix",
        f"{_HERE}.phoenix:Phoenix",
        summary="MSTAR target chips with their Phoenix header.",
    )
    register(
        "sar_demo",
        f"{_HERE}.demo:Demo",
        summary="480 simulated chips of five vehicles, from scattering physics.",
    )


@hookimpl
def register_objectives(register: Callable[..., None]) -> None:
    """Objectives for radar images."""
    register(
        "dca",
        f"{_HERE}.dca:DCA",
        summary="Discriminates the images of a batch in every view, and aligns their features.",
    )
    register(
        "despeckle",
        f"{_HERE}.despeckle:Despeckle",
        summary="Predicts one look from another with independent speckle (Noise2Noise).",
    )
    register(
        "azimuth",
        f"{_HERE}.azimuth:Azimuth",
        summary="Predicts the azimuth of a target, or the rotation of its chip.",
    )


@hookimpl
def register_recipes(register: Callable[..., None]) -> None:
    """Experiments of papers."""
    register(
        "sar-dca",
        Path(__file__).parent / "recipes" / "sar-dca.toml",
        summary="DCA with speckle views, against scratch with the same views.",
    )
    register(
        "ss-rcnn-ships",
        Path(__file__).parent / "recipes" / "ss-rcnn-ships.toml",
        summary="CutPaste on clean sea, then Mask R-CNN for ships from few labeled images.",
    )
