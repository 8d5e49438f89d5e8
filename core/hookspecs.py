"""Everything a plugin can add, on one page. Implement any of these in your entry-point module.

Each `register` is called as `register(name, "package.module:Attribute", summary="One sentence.")`;
`group` names the heading that the listings show it under, the distribution's name by default.
The reference is imported on first use only, so the entry-point module itself must stay light: no
torch, no heavy library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

PROJECT = "ssl_kit"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Register = Callable[..., None]


@hookspec
def register_encoders(register: Register) -> None:
    """Register encoder families: subclasses of `ssl_kit.Encoder`."""


@hookspec
def register_objectives(register: Register) -> None:
    """Register objectives: subclasses of `ssl_kit.Objective`."""


@hookspec
def register_datasets(register: Register) -> None:
    """Register datasets: subclasses of `ssl_kit.Dataset`."""


@hookspec
def register_domains(register: Register) -> None:
    """Register domains: instances of `ssl_kit.Domain`."""


@hookspec
def register_evaluations(register: Register) -> None:
    """Register evaluations: subclasses of `ssl_kit.Evaluation`."""


@hookspec
def register_recipes(register: Register) -> None:
    """Register recipes: the paths of TOML files, as `Path(__file__).with_name("recipe.toml")`."""


@hookspec
def register_commands(cli: click.Group) -> Any:
    """Add commands to the command line with `@cli.command()`."""
