"""What this package adds to ssl-kit. Every ssl-kit command imports it: keep it light."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ssl_kit import hookimpl


@hookimpl
def register_recipes(register: Callable[..., None]) -> None:
    """The recipe: a TOML file, which is read when it is asked for."""
    register(
        "example_name",
        Path(__file__).with_name("recipe.toml"),
        summary="Contrast of two views, by a linear probe.",
    )
