"""The results of a comparison, one per arm, budget and seed; each is computed once and kept."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...core.atomic import write_atomic
from ...core.errors import DataError, UsageError
from ..result import Result
from .plan import Cell, Plan


def _agree(out: Path, asked: Plan) -> None:
    """Refuses a folder with other settings, and notes ours in a new one."""
    file = out / "settings.json"
    mine = {**asked.settings, **{f"arm {arm.name}": arm.identity for arm in asked.arms}}
    mine = json.loads(json.dumps(mine))
    theirs: dict[str, Any] = {}
    if file.is_file():
        try:
            theirs = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"Cannot read '{file}': {error}. Choose another --out.") from error
    for key in sorted(set(mine) & set(theirs)):
        if mine[key] != theirs[key]:
            raise UsageError(
                f"'{out}' holds a comparison with another {key}: {theirs[key]} there, {mine[key]} "
                "now. Choose another --out."
            )
    if {**theirs, **mine} != theirs:  # arms may be added
        write_atomic(file, (json.dumps({**theirs, **mine}, indent=1) + "\n").encode())


def _result(asked: Plan, cell: Cell, file: Path) -> Result | None:
    """Reads the result of a cell, or computes and keeps it; None if its arm has no weights."""
    arm, dataset = cell.arm, asked.data.dataset
    if file.is_file():
        result = Result.load(file)
        arm.loaded = arm.loaded or result.details["weights"]
        return result
    started = time.monotonic()
    pool = asked.data.splits.train
    model = arm.model(cell.seed, asked.architecture, asked.image_size, dataset, pool)
    if model is None:
        return None
    data = asked.limited(cell.budget, cell.seed)
    result = arm.evaluation(asked.evaluation, asked.chosen, cell.seed).evaluate(model, data)
    facts = {
        "weights": arm.loaded,
        "labels": len(data.parts.train) + len(data.parts.val),
        "seconds": round(time.monotonic() - started, 1),
    }
    result = replace(result, details={**result.details, **facts})
    result.save(file)
    return result


def _same_metric(result: Result, first: Result, cell: Cell) -> None:
    if result.main != first.main:
        raise UsageError(
            f"'{cell.arm.name}' is judged by {result.main}, the others by {first.main}: that is no "
            "comparison. Leave it out, or choose --evaluation linear, knn or finetune."
        )


def _line(cell: Cell, result: Result) -> str:
    value = result.metrics[result.main].value if result.main in result.metrics else float("nan")
    return (
        f"{cell.arm.name}, budget {cell.budget}, seed {cell.seed}: {result.main} "
        f"{100 * value:.1f} ({result.details['seconds']:.0f} s)"
    )
