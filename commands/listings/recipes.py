"""Recipes as a table, and one recipe as a page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from ...core.discovery import recipes
from ...core.errors import SslKitError
from ...reports.citations import citation, short_citation
from ...training.layers import flatten
from ...training.recipe import Recipe, read_recipe
from .page import table, width

Json = dict[str, Any]


def rows() -> list[dict[str, str]]:
    """Returns name, paper, domain and requirements of every recipe, by domain."""
    return sorted(map(_row, recipes), key=lambda row: (row["domain"], row["name"]))


def _row(name: str) -> dict[str, str]:
    try:
        recipe = read_recipe(name)
    except SslKitError as error:
        return {"name": name, "paper": f"cannot be used: {error}", "domain": "", "needs": ""}
    paper = short_citation(recipe.paper.model_dump())
    return {"name": name, "paper": paper, "domain": recipe.domain, "needs": recipe.needs}


def of_domain(domain: str) -> dict[str, str]:
    """Returns the paper of each recipe of a domain, by the name of the recipe."""
    return {row["name"]: row["paper"] for row in rows() if row["domain"] == domain}


def listing(known: Sequence[dict[str, str]]) -> str:
    """Returns the table of all recipes.

    Args:
        known: What `rows` returns.
    """
    columns = ("name", "paper", "domain", "needs")
    text = table(columns, [[row[column] for column in columns] for row in known])
    return (
        f"{text}\n\n'ssl-kit recipes show NAME' shows one with its settings; 'ssl-kit recipes run "
        "NAME --data PATH --small' runs it."
    )


def facts(name: str) -> Json:
    """Returns a recipe as plain values, and below "small" the recipe with its small settings."""
    recipe, small = read_recipe(name), read_recipe(name, small=True)
    return {"name": name, **recipe.model_dump(mode="json"), "small": small.model_dump(mode="json")}


def page(name: str) -> str:
    """Returns a recipe as a text: claim, settings of the paper and of --small, what is unknown."""
    recipe, small = read_recipe(name), read_recipe(name, small=True)
    top = [
        ("Paper", f"{citation(recipe.paper.model_dump())}. {recipe.paper.url}".rstrip()),
        ("Claim", recipe.claim),
        ("Domain", recipe.domain),
        ("Needs", recipe.needs),
        ("Images of the paper", recipe.images.paper),
        ("Images here", recipe.images.here),
    ]
    parts = [
        name,
        table(("", ""), top),
        f"Settings of the pre-training\n{_settings(recipe, small)}",
        f"Pretext task\n{_pretext(recipe, small)}",
        *(_comparison(recipe, small, name) for name in recipe.comparisons),
    ]
    if recipe.unknown:
        open_points = [(each.what, each.choice) for each in recipe.unknown]
        parts.append(f"What the paper leaves open\n{table(('', ''), open_points, 2)}")
    if recipe.checklist:
        texts = [(each.text, each.check or "for the reader") for each in recipe.checklist]
        parts.append(f"Checklist, and what the kit looks up\n{table(('', ''), texts, 2)}")
    return "\n\n".join(parts)


def _settings(recipe: Recipe, small: Recipe) -> str:
    """Returns a table of settings, each as the paper has it and as --small has it."""
    lines = []
    for run in recipe.runs:
        ours, theirs = (flatten(r.settings_of(run)) for r in (recipe, small))
        ours.pop("domain"), theirs.pop("domain")
        prefix = f"{run}: " if len(recipe.runs) > 1 else ""
        for key in dict.fromkeys([*ours, *theirs]):
            lines.append((f"{prefix}{key}", _text(ours.get(key)), _text(theirs.get(key))))
    return table(("setting", "paper", "--small"), lines, 2)


def _pretext(recipe: Recipe, small: Recipe) -> str:
    lines = []
    for name, run in small.runs.items():
        task, paper = run.pretext, recipe.runs[name].pretext if name in recipe.runs else run.pretext
        theirs, ours = (
            t.reference if isinstance(t.reference, str) else f"{t.reference:g}"
            for t in (paper, task)
        )
        references = ours if task == paper else f"{theirs}, with --small {ours}"
        lines.append((name, task.metric, f"{references}: {task.about}", f"{task.learned:g}"))
    return table(("run", "metric", "reference", "learned at"), lines, 2)


def _comparison(recipe: Recipe, small: Recipe, name: str) -> str:
    """Returns the question of a comparison and a table of its settings."""
    ours, theirs = (
        flatten({k: v for k, v in r.comparisons[name].model_dump().items() if k != "about"})
        for r in (recipe, small)
    )
    lines = [
        (key, _text(ours.get(key)), _text(theirs.get(key)))
        for key in dict.fromkeys([*ours, *theirs])
        if ours.get(key) or theirs.get(key)
    ]
    about = f"Comparison '{name}': {recipe.comparisons[name].about}"
    return f"{textwrap.fill(about, width())}\n{table(('setting', 'paper', '--small'), lines, 2)}"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
