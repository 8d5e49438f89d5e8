"""What this package adds to ssl-kit. Every ssl-kit command imports it: keep it light."""

from __future__ import annotations

from collections.abc import Callable

from ssl_kit import hookimpl


@hookimpl
def register_datasets(register: Callable[..., None]) -> None:
    """The dataset; its module is imported when it is first used."""
    register(
        "example_name",
        "ssl_kit_example_name.dataset:ExampleName",
        summary="Portable graymaps, 8 or 16 bit.",
    )
