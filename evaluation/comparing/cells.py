"""The results of a comparison, one per arm, budget and seed; each is computed once and kept."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...core.atomic import write_atomic
from ...core.errors import DataError, RunError, UsageError
from ...data.counting import plural
from ...data.in_memory import kept_in_memory
from ...training.finite import told_where
from ...training.locks import exclusive
from ...training.other_work import refuse_other_work
from ...training.progress import Progress
from ...training.work import Work
from ..result import Result
from .arms import IMAGENET
from .durations import Durations
from .models import Models
from .plan import Cell, Plan
from .tested_images import TEST_PART, TEST_SET
from .verdicts import summary

_SETTINGS = "settings.json"
_NO_MATCH = (
    "that is no comparison. Leave it out, choose an --evaluation of classes, such as linear, or if "
    "the folder has results of an earlier version, choose another --out."
)


def compute(plan: Plan, out: Path, command: str, progress: Progress) -> dict[str, Any]:
    """Computes the cells that are not there yet, and writes `compare.json`.

    One process at a time works in the folder.

    Args:
        plan: The comparison.
        out: Folder of the comparison; an interrupted one goes on.
        command: What was asked for, for the record.
        progress: Shows what happens.

    Returns:
        What is in `compare.json`: docs/compare.md describes it.

    Raises:
        UsageError: If the folder holds a comparison with other settings, or the evaluation and
            fine-tuning, which "scratch" is put to, do not report the same.
        DataError: If a result in it is damaged.
        RunError: If another process works in the folder.
        KeyboardInterrupt: If it is interrupted; the message says how to go on.
    """
    images = plan.data.dataset.path
    refuse_other_work(out, ("compare.json", "cells"), "" if images == Path() else str(images))
    with exclusive(out):
        return _compute(plan, out, command, progress)


def _compute(plan: Plan, out: Path, command: str, progress: Progress) -> dict[str, Any]:
    cells = list(plan.cells())
    missing = [cell for cell in cells if not (out / cell.file).is_file()]
    if missing:
        parts = plan.asked.labeled(plan.data)
        labeled = np.concatenate([parts.outside_test, parts.test])
        dataset = kept_in_memory(plan.data.dataset, labeled)
        plan = replace(plan, data=replace(plan.data, dataset=dataset))
    models = Models(plan)
    for arm in dict.fromkeys(cell.arm for cell in missing if cell.arm.weights):
        models.load(arm, 0)  # what does not fit is refused before anything is computed
    _check_settings(out, plan)
    progress.say(f"{len(missing)} of {len(cells)} results are still to be computed.")
    try:
        with Work(progress, len(cells)) as work:
            results = _results(plan, cells, models, out, progress, work)
    except KeyboardInterrupt:
        there = sum((out / cell.file).is_file() for cell in cells)
        raise KeyboardInterrupt(
            f"Interrupted; {there} of {len(cells)} results are in '{out}'. The same command "
            "computes the others."
        ) from None
    values = summary(plan, results, models, command)
    text = json.dumps(values, indent=1, allow_nan=True) + "\n"
    _refuse_vanished(out)
    write_atomic(out / "compare.json", text.encode())
    return values


def _results(
    plan: Plan,
    cells: list[Cell],
    models: Models,
    out: Path,
    progress: Progress,
    work: Work,
) -> dict[tuple[str, str, int], Result]:
    """Returns the results by arm, budget and seed, without those of arms that have no weights."""
    results: dict[tuple[str, str, int], Result] = {}
    first: dict[tuple[str, int], Result] = {}
    durations = Durations(plan.evaluation)
    there = [cell for cell in cells if (out / cell.file).is_file()]
    order = sorted(cells, key=lambda cell: cell not in there)  # they tell how long the others take
    for number, cell in enumerate(order):
        if cell not in there:
            work.begin(cell.text, durations.expected(order[number:]))
        result = _result(plan, cell, models, out / cell.file)
        work.end()
        if result is None:
            continue
        _check_alike(result, first.setdefault((cell.budget, cell.seed), result), cell)
        results[_key(cell)] = result
        durations.add(cell, result.details["seconds"])
        if cell not in there:
            progress.say(f"{work.done}/{work.parts}  {_line(cell, result)}")
    return {key: results[key] for key in map(_key, cells) if key in results}


def _key(cell: Cell) -> tuple[str, str, int]:
    return cell.arm.name, cell.budget, cell.seed


def _check_settings(out: Path, plan: Plan) -> None:
    """Refuses a folder with other settings, and notes those of the plan in a new one."""
    file = out / _SETTINGS
    arms = {f"arm {arm.name}": arm.identity for arm in plan.arms}
    own = (arm for arm in plan.arms if arm.is_random or arm.kind == IMAGENET)
    arguments = {f"encoder.arguments of {arm.name}": plan.arguments(arm) for arm in own}
    planned = {TEST_SET: TEST_PART, **plan.settings, **arms, **arguments}
    planned = json.loads(json.dumps(planned))
    stored: dict[str, Any] = {}
    if file.is_file():
        before = json.loads(json.dumps(plan.changed_reading))
        try:
            stored = {TEST_SET: TEST_PART, **before, **json.loads(file.read_text())}
        except (OSError, ValueError) as error:
            raise DataError(f"Cannot read '{file}': {error}. Choose another --out.") from error
    for key in planned:
        if planned[key] != stored.get(key, planned[key]):
            raise UsageError(
                f"'{out}' holds a comparison with another {key}: {stored[key]} there, "
                f"{planned[key]} now. Choose another --out."
            )
    if {**stored, **planned} != stored:  # arms may be added
        write_atomic(file, (json.dumps({**stored, **planned}, indent=1) + "\n").encode())


def _result(plan: Plan, cell: Cell, models: Models, file: Path) -> Result | None:
    """Reads the result of a cell, or computes and keeps it; None if its arm has no weights."""
    arm = cell.arm
    if file.is_file():
        result = Result.load(file)
        models.loaded.setdefault(arm.name, result.details["weights"])
        return result
    started = time.monotonic()
    model = models.load(arm, cell.seed)
    if model is None:
        return None
    data = plan.limited(cell.budget, cell.seed)
    evaluation = arm.evaluation(plan.evaluation, plan.chosen, cell.seed)
    with told_where(f"Arm '{arm.name}', evaluation '{arm.evaluation_name(plan.evaluation)}'"):
        result = evaluation.evaluate(model, data)
    facts = {
        "weights": models.loaded[arm.name],
        "labels": len(plan.asked.labeled(data).outside_test),
        "seconds": round(time.monotonic() - started, 1),
    }
    result = replace(result, details={**result.details, **facts})
    _refuse_vanished(file.parents[2])
    result.save(file)
    return result


def _refuse_vanished(out: Path) -> None:
    """Refuses to make a folder anew that vanished while its results were computed."""
    if not (out / _SETTINGS).is_file():
        raise RunError(
            f"The folder of the comparison is gone: '{out}' was deleted, renamed or unmounted. "
            "Restore it and repeat the command, which goes on, or start anew."
        )


def _check_alike(result: Result, first: Result, cell: Cell) -> None:
    """Refuses a result of another metric, or of other test samples, than the first one."""
    name, main = cell.arm.name, result.main
    if main != first.main:
        raise UsageError(f"'{name}' is judged by {main}, the others by {first.main}: {_NO_MATCH}")
    ours, theirs = (each.jackknife.get(main) for each in (result, first))
    if ours and theirs and not np.array_equal(ours.sizes, theirs.sizes):
        here, there = (
            f"{kept.sizes.sum():.0f} in {plural(each.groups, 'group')}"
            for kept, each in ((ours, result), (theirs, first))
        )
        raise UsageError(
            f"'{name}' is tested on other samples than the others ({here}, not {there}): "
            f"{_NO_MATCH}"
        )


def _line(cell: Cell, result: Result) -> str:
    value = result.metrics[result.main].value if result.main in result.metrics else float("nan")
    judged = f" {result.main} {100 * value:.1f}" if result.main else ""
    return f"{cell.text}:{judged} ({result.details['seconds']:.0f} s)"
