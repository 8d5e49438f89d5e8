"""Lists what plugins register. Nothing here imports torch."""

from typing import Any

from ..core.discovery import discovery
from ..core.errors import PluginError
from ..core.registry import Registry


def entries(registry: Registry) -> list[dict[str, str]]:
    """Returns name, summary and origin of everything in a registry."""
    rows = []
    for name in registry:
        try:
            e = registry.entry(name)
            summary, plugin = e.summary, f"{e.origin} {e.version}".strip()
        except PluginError as error:  # registered twice
            summary, plugin = str(error), ""
        rows.append({"name": name, "summary": summary, "plugin": plugin})
    return rows


def describe(registry: Registry, name: str) -> dict[str, Any]:
    """Returns all that is known of one name: paper, documentation and options."""
    entry = registry.entry(name)
    thing = entry.load()
    doc = (thing.__doc__ or "").strip()
    facts: dict[str, Any] = {"name": name, "summary": entry.summary, "documentation": doc}
    if hasattr(thing, "paper"):
        facts["paper"] = thing.paper
    if hasattr(thing, "Config"):
        facts["options"] = {
            key: {"default": field.default, "about": field.description or ""}
            for key, field in thing.Config.model_fields.items()
        }
    if getattr(thing, "defaults", None):
        facts["defaults"] = dict(thing.defaults)
    for part in ("datasets", "policies", "pairings"):
        if hasattr(thing, part):
            facts[part] = sorted(getattr(thing, part))
    return facts


def plugin_rows() -> list[dict[str, Any]]:
    """Returns every plugin that was found, usable or not."""
    return [
        {
            "name": p.name,
            "from": f"{p.origin} {p.version}".strip(),
            "hooks": list(p.hooks),
            "error": p.error,
            "state": f"FAILED: {p.error}" if p.error else "; ".join(p.remarks) or "ok",
        }
        for p in discovery().plugins
    ]
