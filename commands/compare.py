"""Compares encoders at several label budgets; every cell is computed once and kept."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.atomic import write_atomic
from ..core.dataset import Dataset
from ..core.errors import UsageError
from ..data.in_memory import kept_in_memory
from ..data.splits import split
from ..evaluation.comparing.arms import FINETUNE, Arm, architecture_of, parse_arms
from ..evaluation.comparing.cells import _agree, _line, _result, _same_metric
from ..evaluation.comparing.plan import Plan, parse_budgets
from ..evaluation.comparing.verdicts import summary
from ..evaluation.data import EvaluationData
from ..evaluation.leakage import refuse_overlap
from ..evaluation.requests import choose, open_images
from ..evaluation.result import Result
from ..training.progress import Progress


def plan(
    arms: Sequence[str],
    *,
    evaluation: str = "linear",
    budgets: str = "10,50,all",
    seeds: int = 3,
    imagenet_weights: str = "",
    encoder: str = "",
    image_size: int = 0,
    domain: str = "",
    data: str = "",
    labels: str = "",
    holdout: float | None = None,
    allow_overlap: bool = False,
    assignments: Sequence[str] = (),
) -> Plan:
    """Checks everything that was asked for before anything is computed.

    Args:
        arms: Run folders, "scratch", "imagenet" or "random-frozen".
        evaluation: Name of the evaluation; "scratch" is always fine-tuned.
        budgets: "10,50,all" (images a class) or "0.01,0.1,1.0" (shares).
        seeds: Draws of labels, and of random weights.
        imagenet_weights: File for "imagenet"; timm's own weights if empty.
        encoder: Architecture, where there is no run.
        image_size: Pixels; 0 is the runs', or 64.
        domain: Of the images; the first run's if empty.
        data: Path of labeled images; the first run's if empty.
        labels: CSV.
        holdout: Share of groups to test on where no split is declared; the run's if None.
        allow_overlap: Accept test groups that were pre-trained on.
        assignments: Options of the evaluation or of fine-tuning, such as "finetune.epochs=10", or
            of the images, such as "data.options.tile=64".

    Raises:
        UsageError: If it is no fair comparison, or test groups were pre-trained on.
    """
    rows = parse_arms(arms, imagenet_weights)
    chosen = choose(list(dict.fromkeys([evaluation, FINETUNE])), assignments)
    architecture, size = architecture_of(rows, encoder, image_size)
    runs = [arm.run for arm in rows if arm.run]
    first = str(runs[0].folder) if runs else ""
    field, dataset, config = open_images(first, domain, data, labels, holdout, assignments)
    found = EvaluationData(dataset, split(dataset.index, config.holdout), field)
    for arm in rows:
        if arm.run:
            _same_scaling(arm, dataset)
            arm.shared = refuse_overlap(arm.run, found, allow_overlap, [chosen[evaluation]])
    return Plan(
        rows,
        evaluation,
        chosen,
        parse_budgets(budgets),
        seeds,
        architecture,
        size,
        config,
        found,
        np.concatenate([found.parts.train, found.parts.val]),
    )


def _same_scaling(arm: Arm, dataset: Dataset) -> None:
    assert arm.run is not None  # noqa: S101
    theirs = np.array(arm.run.read_json("encoder.json")["value_range"])
    if theirs.shape != dataset.value_range.shape or not np.allclose(theirs, dataset.value_range):
        raise UsageError(
            f"'{arm.name}' was trained on images of another value range than the first run. "
            "Compare them in two comparisons."
        )


def compare(asked: Plan, out: Path, command: str, progress: Progress) -> dict[str, Any]:
    """Computes the cells that are not there yet, and writes `compare.json`.

    Args:
        asked: From `plan`.
        out: Folder of the comparison; an interrupted one goes on.
        command: That was typed, for the record.
        progress: Shows what happens.

    Returns:
        What is in `compare.json`: docs/compare.md describes it.

    Raises:
        UsageError: If the folder holds a comparison with other settings, or the evaluation and
            fine-tuning, which "scratch" is put to, do not report the same.
        DataError: If a result in it is damaged.
    """
    _agree(out, asked)
    results: dict[tuple[str, str, int], Result] = {}
    cells = list(asked.cells())
    missing = [cell for cell in cells if not (out / cell.file).is_file()]
    if missing:
        labeled = np.flatnonzero(asked.data.dataset.index.labels >= 0)
        asked = replace(
            asked,
            data=replace(asked.data, dataset=kept_in_memory(asked.data.dataset, labeled)),
        )
    started, done = time.monotonic(), 0
    progress.say(f"{len(cells)} cells, {len(cells) - len(missing)} of them are there already")
    with progress:
        for cell in cells:
            result = _result(asked, cell, out / cell.file)
            if result is None:
                continue
            _same_metric(result, next(iter(results.values()), result), cell)
            results[cell.arm.name, cell.budget, cell.seed] = result
            if cell in missing:
                done += 1
                progress.step(done, len(missing), None, time.monotonic() - started)
                progress.say(f"{done}/{len(missing)}  {_line(cell, result)}")
    values = summary(asked, results, command)
    text = json.dumps(values, indent=1, allow_nan=True) + "\n"
    write_atomic(out / "compare.json", text.encode())
    return values
