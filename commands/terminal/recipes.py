"""The commands `ssl-kit recipes list`, `show` and `run`."""

from __future__ import annotations

from typing import Any

import click

from . import flags
from .group import Group
from .printing import show


@click.group(cls=Group)
def recipes() -> None:
    """List, show and run experiments of papers, each by one command."""


@recipes.command("list")
@flags.as_json
def _list(as_json: bool) -> None:
    """List the recipes: paper, domain, and what they need."""
    from ..listings import recipes as listings

    rows = listings.rows()
    show(rows, as_json, lambda: listings.listing(rows))


@recipes.command("show")
@click.argument("name")
@flags.as_json
def _show(name: str, as_json: bool) -> None:
    """Show a recipe: its claim, its settings and those of --small, what the paper leaves open."""
    from ..listings import recipes as listings

    show(listings.facts(name) if as_json else {}, as_json, lambda: listings.page(name))


@recipes.command("run", cls=flags.Derived, flags=flags.RECIPE)
@click.argument("name", metavar="NAME|FILE.toml")
@click.option("--small", is_flag=True, help="Take the recipe's settings for two cores.")
@click.option("--imagenet-weights", help="File of ImageNet weights.  [default: timm's weights]")
@flags.values(
    "KEY=VALUE", "Setting of all runs, such as train.epochs=20, or comparisons.NAME.KEY=VALUE."
)
@flags.out("Folder of the experiment.  [default: runs/recipe-NAME]")
@flags.quiet
@flags.as_json
def _run(name: str, as_json: bool, **options: Any) -> None:
    """Pre-train and compare as a paper did, and write one report.

    The same command continues an interrupted experiment. --max-time limits each pre-training.
    """
    from ..recipes import run_recipe

    values = run_recipe(name, **flags.given(options))
    text = f"{values}\nThe report is in {values.folder / 'report.html'}"
    show(values, as_json, lambda: text)
