"""Keeps the results of one command out of the folder of another."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..core.errors import UsageError

_MARKS = {
    "config.toml": "a run",
    "encoder.json": "an encoder",
    "tune.json": "a search",
    "plan.json": "a search",
    "compare.json": "a comparison",
    "cells": "a comparison",
    "request.json": "a recipe",
    "recipe.json": "a recipe",
}
"""Files that tell what a folder holds."""


def refuse_other_work(out: Path, own: Collection[str] = (), data: str = "") -> None:
    """Refuses a folder that holds something else, whose report would be replaced.

    Args:
        out: Folder of results.
        own: Files of an earlier call of the same command.
        data: Path of the images.

    Raises:
        UsageError: If another command wrote there, or it is the folder of the images.
    """
    for name, what in _MARKS.items():
        if name not in own and (out / name).exists():
            raise UsageError(f"'{out}' holds {what}. Choose another --out.")
    if data and out.is_dir() and out.resolve() == Path(data).resolve():
        raise UsageError(f"'{out}' is the folder of the images. Choose another --out.")
