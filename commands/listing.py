"""What the listing commands print. Nothing here imports torch."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..core.discovery import discovery
from ..core.errors import PluginError
from ..core.registry import Registry

_PARTS = ("torch", "torchvision", "timm", "albumentations", "accelerate", "numpy", "scikit-learn")


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
        }
        for p in discovery().plugins
    ]


def health() -> list[dict[str, Any]]:
    """Checks this installation: a row per fact, `ok` False where something needs mending."""
    rows: list[dict[str, Any]] = [_row("python", platform.python_version())]
    for name in _PARTS:
        try:
            rows.append(_row(name, version(name)))
        except PackageNotFoundError:
            rows.append(_row(name, f"missing: run 'pip install {name}'", ok=False))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    rows.append(_row("cores", str(cores)))
    rows.append(_row("device", _device()))
    free = shutil.disk_usage(".").free / 2**30
    rows.append(_row("disk", f"{free:.0f} GiB free here", ok=free > 1))
    for plugin in discovery().plugins:
        text = plugin.error or f"{plugin.origin} {plugin.version}".strip()
        rows.append(_row(f"plugin {plugin.name}", text, ok=not plugin.error))
    return rows


def _row(check: str, found: str, ok: bool = True) -> dict[str, Any]:
    return {"check": check, "found": found, "ok": ok}


def _device() -> str:
    import torch

    from ..training.precision import choose_precision

    name = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    return f"{name}, {choose_precision('auto')}"
