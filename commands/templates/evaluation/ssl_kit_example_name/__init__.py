"""What this package adds to ssl-kit. Every ssl-kit command imports it: keep it light."""

from __future__ import annotations

from collections.abc import Callable

from ssl_kit import hookimpl


@hookimpl
def register_evaluations(register: Callable[..., None]) -> None:
    """The evaluation; its module is imported when it is first used."""
    register(
        "example_name",
        "ssl_kit_example_name.evaluation:ExampleName",
        summary="The class with the nearest mean.",
    )
