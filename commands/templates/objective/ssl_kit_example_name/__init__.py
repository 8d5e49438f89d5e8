"""Registers the plugins of this package. Every ssl-kit command imports it, so keep it fast."""

from __future__ import annotations

from collections.abc import Callable

from ssl_kit import hookimpl


@hookimpl
def register_objectives(register: Callable[..., None]) -> None:
    """Registers the objective; its module is imported when it is first used."""
    register(
        "example_name",
        "ssl_kit_example_name.objective:ExampleName",
        summary="Alignment of two views and uniformity of images on the sphere.",
    )
