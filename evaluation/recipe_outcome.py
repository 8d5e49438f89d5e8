"""recipe.json: what a recipe has shown."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from ..training.pretext import judge_pretexts
from ..training.recipe import Recipe
from ..training.run import Run
from .comparing.several_runs import pretraining_of_all

OUTCOME, FORMAT = "recipe.json", 2


def outcome_of(
    recipe: Recipe, runs: Mapping[str, Sequence[Run]], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what recipe.json says of a recipe and its runs.

    Args:
        recipe: With all overrides.
        runs: The runs by their names; several where each group has one.
        about: Further facts: name and size of the recipe, the command.
    """
    plain = recipe.model_dump(mode="json")
    return {
        "format": FORMAT,
        **about,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
        **{key: plain[key] for key in ("claim", "domain", "paper", "images", "unknown")},
        "runs": {
            name: _of_runs(each, name, recipe) | {"folder": f"runs/{name}"}
            for name, each in runs.items()
        },
    }


def _of_runs(runs: Sequence[Run], name: str, recipe: Recipe) -> dict[str, Any]:
    config, asked = runs[0].config, recipe.runs[name]
    return {
        "objective": config.objective.name,
        "encoder": config.encoder.name,
        "start": config.encoder.init,
        "image_size": config.encoder.image_size,
        "data": config.data.path,
        **({"groups": len(runs)} if asked.each else {}),
        **pretraining_of_all(runs),
        "pretext": asdict(judge_pretexts(runs, asked.pretext)),
    }


def read_outcome(folder: Path) -> dict[str, Any]:
    """Reads recipe.json of a folder.

    Raises:
        DataError: If it is damaged or has another format.
    """
    values = read_json(folder / OUTCOME)
    if values.get("format") != FORMAT:
        raise DataError(
            f"'{folder / OUTCOME}' does not have format {FORMAT}, which this version reads. Run "
            "'ssl-kit recipes run' again."
        )
    return values


def read_json(file: Path) -> dict[str, Any]:
    """Reads a note of a recipe.

    Raises:
        DataError: If it is damaged.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read '{file}': {error}. Choose another --out.") from error
    if not isinstance(values, dict):
        raise DataError(f"'{file}' is damaged. Choose another --out.")
    return values
