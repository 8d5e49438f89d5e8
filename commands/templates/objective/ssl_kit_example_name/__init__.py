"""What this package adds to ssl-kit. Every ssl-kit command imports it: keep it light."""

from __future__ import annotations

from collections.abc import Callable

from ssl_kit import hookimpl


@hookimpl
def register_objectives(register: Callable[..., None]) -> None:
    """The objective; its module is imported when it is first used."""
    register(
        "example_name",
        "ssl_kit_example_name.objective:ExampleName",
        summary="Views agree, and images spread over the sphere.",
    )
