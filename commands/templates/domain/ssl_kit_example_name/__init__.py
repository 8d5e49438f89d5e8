"""What this package adds to ssl-kit. Every ssl-kit command imports it: keep it light."""

from __future__ import annotations

from collections.abc import Callable

from ssl_kit import hookimpl


@hookimpl
def register_domains(register: Callable[..., None]) -> None:
    """The domain; its module is imported when it is first used."""
    register(
        "example_name",
        "ssl_kit_example_name.domain:EXAMPLE_NAME",
        summary="Images of example_name: PNG, TIFF and NumPy files.",
    )


@hookimpl
def register_datasets(register: Callable[..., None]) -> None:
    """The demo. A reader of a file format of your own would stand here too."""
    register(
        "example_name_demo",
        "ssl_kit_example_name.demo:Demo",
        summary="120 made-up gray images of stripes, coarse, medium and fine.",
    )
