"""Stained tissue: the plugins of this package, which are imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ssl_kit import hookimpl

_HERE = __name__


@hookimpl
def register_domains(register: Callable[..., None]) -> None:
    """The domain."""
    register(
        "histopathology",
        f"{_HERE}.domain:HISTOPATHOLOGY",
        summary="Stained tissue: whole slides and folders of patches.",
    )


@hookimpl
def register_datasets(register: Callable[..., None]) -> None:
    """The readers of whole slides and patches, and the demo."""
    register(
        "slides",
        f"{_HERE}.slides:Slides",
        summary="Whole slides through OpenSlide, the tissue cut into tiles at one resolution.",
    )
    register(
        "patches",
        f"{_HERE}.patches:Patches",
        summary="Image files of patches, grouped by the patient or slide in their names.",
    )
    register(
        "histopathology_demo",
        f"{_HERE}.demo:Demo",
        summary="588 simulated tiles of five tissues on twelve slides, by the Beer-Lambert law.",
    )


@hookimpl
def register_objectives(register: Callable[..., None]) -> None:
    """The pretext tasks."""
    register(
        "magnification",
        f"{_HERE}.magnification:Magnification",
        summary="Classifies the magnification of a part of an image.",
    )
    register(
        "cross_stain",
        f"{_HERE}.cross_stain:CrossStain",
        summary="Predicts the concentration of one stain from an image of the other.",
    )


@hookimpl
def register_recipes(register: Callable[..., None]) -> None:
    """Experiments of papers."""
    register(
        "wsi-context",
        Path(__file__).parent / "recipes" / "wsi-context.toml",
        summary="Graph, attention, mean and max pooling of slides, with and without pre-training.",
    )
