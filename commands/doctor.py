"""Checks this installation. Nothing but the check of the device imports torch."""

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..core.discovery import BUILT_IN, REGISTRIES, discovery
from ..core.errors import PluginError

_PARTS = ("torch", "torchvision", "timm", "albumentations", "accelerate", "numpy", "scikit-learn")


def health() -> list[dict[str, Any]]:
    """Checks this installation: a row per fact, `ok` False where something needs mending."""
    rows: list[dict[str, Any]] = [_row("python", platform.python_version())]
    for name in _PARTS:
        try:
            rows.append(_row(name, version(name)))
        except PackageNotFoundError:
            rows.append(_row(name, f"missing: run 'pip install {name}'", ok=False))
    rows += [_row("cores", str(os.cpu_count())), _row("device", *_device())]
    free = shutil.disk_usage(".").free / 2**30
    rows.append(_row("disk", f"{free:.0f} GiB free here", ok=free > 1))
    for plugin in discovery().plugins:
        text = plugin.error or f"{plugin.origin} {plugin.version}".strip()
        text = "; ".join([text, *plugin.remarks])
        rows.append(_row(f"plugin {plugin.name}", text, ok=not plugin.error))
    return rows + [_row(name, error, ok=False) for name, error in _unloadable()]


def _unloadable() -> Iterator[tuple[str, str]]:
    """Yields the names of plugins whose thing cannot be imported, and why."""
    for registry in REGISTRIES.values():
        for name in registry:
            try:
                entry = registry.entry(name)
                if entry.origin != BUILT_IN:
                    entry.load()
            except PluginError as error:
                yield f"{registry.kind} {name}", str(error)


def _row(check: str, found: str, ok: bool = True) -> dict[str, Any]:
    return {"check": check, "found": found, "ok": ok}


def _device() -> tuple[str, bool]:
    try:
        import torch

        from ..training.precision import choose_precision
    except (ImportError, OSError) as error:  # OSError: a library that torch needs is missing
        reason = f"({error}): run 'pip install --force-reinstall torch'"
        return " ".join(f"torch cannot be imported {reason}".split()), False
    name = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    return f"{name}, {choose_precision('auto')}", True
