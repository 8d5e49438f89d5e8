"""Medical images: the plugins of this package, which are imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ssl_kit import hookimpl

_HERE = __name__


@hookimpl
def register_domains(register: Callable[..., None]) -> None:
    """The domain."""
    register(
        "medical",
        f"{_HERE}.domain:MEDICAL",
        summary="DICOM, NIfTI, radiographs and microscopy.",
    )


@hookimpl
def register_datasets(register: Callable[..., None]) -> None:
    """The readers and the demo."""
    register(
        "dicom",
        f"{_HERE}.dicom:Dicom",
        summary="DICOM files and series, compressed and multi-frame too; frame by frame.",
    )
    register(
        "nifti",
        f"{_HERE}.nifti:Nifti",
        summary="NIfTI and MGH volumes, cut into slices.",
    )
    register(
        "medical_demo",
        f"{_HERE}.demo:Demo",
        summary="768 simulated MR slices of 192 heads, from the physics of the scanner.",
    )


@hookimpl
def register_objectives(register: Callable[..., None]) -> None:
    """The pretext tasks."""
    register(
        "models_genesis",
        f"{_HERE}.models_genesis:ModelsGenesis",
        summary="Restores images after intensity, shuffling and painting transforms.",
    )
    register(
        "slice_order",
        f"{_HERE}.slice_order:SliceOrder",
        summary="Predicts which of two slices of a volume comes first.",
    )


@hookimpl
def register_recipes(register: Callable[..., None]) -> None:
    """Experiments of papers."""
    register(
        "medical-guidelines",
        Path(__file__).parent / "recipes" / "medical-guidelines.toml",
        summary="Minimum report of a review: four strategies, three initializations.",
    )
    register(
        "plasmodium-attention",
        Path(__file__).parent / "recipes" / "plasmodium-attention.toml",
        summary="Pre-training on the positive images, attention, and an operating point.",
    )
