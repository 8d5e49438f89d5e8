"""Rows of listings, and the facts of a page, of what is registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.discovery import datasets, domains, objectives
from ...core.errors import PluginError
from ...core.registry import Registry
from . import facts


def entries(registry: Registry) -> list[dict[str, str]]:
    """Returns name, summary, group and origin of everything in a registry, by group.

    An objective has also paper and needs, a dataset the domains that open it, a domain what it
    reads.
    """
    return sorted((_row(registry, name) for name in registry), key=_order(registry))


def _order(registry: Registry) -> Any:
    groups = list(dict.fromkeys(entry.group or entry.origin for entry in registry.entries()))
    return lambda row: (groups.index(row["group"]) if row["group"] in groups else -1, row["name"])


def _row(registry: Registry, name: str) -> dict[str, str]:
    try:
        e = registry.entry(name)
    except PluginError as error:  # registered twice
        return {"name": name, "summary": str(error), "group": "", "plugin": ""}
    plugin = f"{e.origin} {e.version}".strip()
    row = {"name": name, "summary": e.summary, "group": e.group or e.origin, "plugin": plugin}
    known = facts.read(e)
    if registry is objectives:
        paper = known.get("citation") or known.get("paper", "")
        return row | {"paper": paper, "needs": ", ".join(known.get("needs", ()))}
    if registry is domains:
        return row | {"reads": ", ".join(known.get("datasets", ()))}
    if registry is datasets:
        openers = [d for d in domains if name in _opened_by(d)]
        openers += ["every domain"] if known.get("named") else []
        return row | {"domains": ", ".join(openers)}
    return row


def _opened_by(domain: str) -> tuple[str, ...]:
    try:
        known = facts.read(domains.entry(domain))
    except PluginError:  # registered twice, as its own row says
        return ()
    return (*known.get("datasets", ()), known.get("demo", ""))


def describe(registry: Registry, name: str) -> dict[str, Any]:
    """Returns all that is known of one name: paper, documentation, options, defaults, parts."""
    known = facts.describe(registry.entry(name))
    if registry is domains:
        from . import recipes  # imports pydantic and numpy, which no list needs

        names = [*known["datasets"], known["demo"], *known["objectives"]]
        rows = [_row(r, n) for n in names for r in (datasets, objectives) if n in r]
        known["summaries"] = {row["name"]: row["summary"] for row in rows}
        known["default_objectives"] = _default_objectives(known)
        known["recipes"] = recipes.of_domain(name)
    return known


def _default_objectives(known: Mapping[str, Any]) -> dict[str, str]:
    """Returns the objective that `train` takes by default, by where the weights come from."""
    from ...training.layers import merge
    from ...training.settings import RunConfig

    name = RunConfig.model_fields["objective"].default.name
    from_random = merge({"objective": {"name": name}}, known["defaults"])
    from_weights = merge(from_random, known["pretrained_defaults"])
    return {
        "random weights": from_random["objective"]["name"],
        "pre-trained weights": from_weights["objective"]["name"],
    }
