"""Compares encoders at several label budgets; every cell is computed once and kept."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssl_kit.core.budgets import draw_labels
from ssl_kit.core.config import DataConfig
from ssl_kit.core.dataset import Dataset
from ssl_kit.core.errors import DataError, UsageError
from ssl_kit.core.evaluation import Evaluation, EvaluationData, refuse_overlap
from ssl_kit.core.memory import kept_in_memory
from ssl_kit.core.progress import Progress
from ssl_kit.core.result import Result
from ssl_kit.core.run import write_atomic
from ssl_kit.core.splits import Positions, split

from .actions import choose, data_of
from .arms import FINETUNE, Arm, architecture_of, parse_arms
from .verdicts import summary

ALL = "all"


@dataclass(frozen=True)
class Cell:
    """One arm at one budget and seed."""

    arm: Arm
    budget: str
    seed: int

    @property
    def file(self) -> Path:
        """Where its result is kept, below the folder of the comparison."""
        name = re.sub(r"[^\w.-]+", "_", self.arm.name)
        return Path("cells") / name / f"{self.budget}-{self.seed}.npz"


@dataclass(frozen=True)
class Plan:
    """A comparison that was asked for.

    Attributes:
        arms: Its rows.
        protocol: Name of the evaluation.
        chosen: That evaluation and fine-tuning, with their options.
        budgets: Label budgets: images a class, shares, or "all".
        seeds: How many draws of labels and weights.
        architecture: Name of the encoder.
        image_size: Pixels.
        config: Which images.
        data: Labelled images in three parts.
        known: Positions of those outside of the test part.
    """

    arms: list[Arm]
    protocol: str
    chosen: dict[str, Evaluation]
    budgets: tuple[str, ...]
    seeds: int
    architecture: str
    image_size: int
    config: DataConfig
    data: EvaluationData
    known: Positions

    @property
    def settings(self) -> dict[str, Any]:
        """What all results in a folder must have in common, as plain values."""
        dataset = self.data.dataset
        return {
            "domain": self.data.domain.name,
            "images": dataset.fingerprint(),
            "value_range": dataset.value_range.tolist(),
            "holdout": self.config.holdout,
            "encoder": self.architecture,
            "image_size": self.image_size,
            "protocol": self.protocol,
            **{
                f"{name}.{option}": value
                for name, evaluation in sorted(self.chosen.items())
                for option, value in evaluation.config.model_dump(mode="json").items()
            },
        }

    def once(self, arm: Arm, budget: str) -> bool:
        """Tells whether no seed has any influence: then one cell stands for all."""
        seeded = "seed" in type(self.chosen[arm.protocol_name(self.protocol)].config).model_fields
        return budget == ALL and not seeded and not arm.is_random

    def cells(self) -> Iterator[Cell]:
        """Yields every cell that is computed."""
        for arm in self.arms:
            for seed in range(self.seeds):
                for budget in self.budgets:
                    if seed == 0 or not self.once(arm, budget):
                        yield Cell(arm, budget, seed)

    def limited(self, budget: str, seed: int) -> EvaluationData:
        """Returns the data with the labels that a budget buys."""
        if budget == ALL:
            return self.data
        amount = float(budget) if "." in budget else int(budget)
        return self.data.limited(draw_labels(self.data.dataset.index, self.known, amount, seed))


def parse_budgets(text: str) -> tuple[str, ...]:
    """Reads "10,50,all" or "0.01,0.1,1.0".

    Raises:
        UsageError: If one is no budget.
    """
    budgets = []
    for part in text.split(","):
        budget = part.strip()
        if budget != ALL and not re.fullmatch(r"[1-9]\d*|0\.\d*[1-9]\d*|1\.0*", budget):
            raise UsageError(
                f"A label budget is a number of images a class, like 10, a share up to 1.0, like "
                f"0.1, or all, not '{budget}'."
            )
        budgets.append(ALL if budget.startswith("1.") else budget)
    return tuple(dict.fromkeys(budgets))


def plan(
    arms: Sequence[str],
    *,
    protocol: str = "linear",
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
        protocol: Name of the evaluation; "scratch" is always fine-tuned.
        budgets: "10,50,all" (images a class) or "0.01,0.1,1.0" (shares).
        seeds: Draws of labels, and of random weights.
        imagenet_weights: File for "imagenet"; timm's own weights if empty.
        encoder: Architecture, where there is no run.
        image_size: Pixels; 0 is the runs', or 64.
        domain: Of the images; the first run's if empty.
        data: Path of labelled images; the first run's if empty.
        labels: CSV.
        holdout: Share of groups to test on where no split is declared; the run's if None.
        allow_overlap: Accept test groups that were pre-trained on.
        assignments: Options of the protocol or of fine-tuning, such as "finetune.epochs=10", or
            of the images, such as "data.options.tile=64".

    Raises:
        UsageError: If it is no fair comparison, or test groups were pre-trained on.
    """
    rows = parse_arms(arms, imagenet_weights)
    chosen = choose(list(dict.fromkeys([protocol, FINETUNE])), assignments)
    architecture, size = architecture_of(rows, encoder, image_size)
    runs = [arm.run for arm in rows if arm.run]
    first = str(runs[0].folder) if runs else ""
    field, dataset, config = data_of(first, domain, data, labels, holdout, assignments)
    found = EvaluationData(dataset, split(dataset.index, config.holdout), field)
    for arm in rows:
        if arm.run:
            _same_scaling(arm, dataset)
            arm.shared = refuse_overlap(arm.run, found, allow_overlap, [chosen[protocol]])
    return Plan(
        rows,
        protocol,
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
        UsageError: If the folder holds a comparison with other settings, or the protocol and
            fine-tuning, which "scratch" is put to, do not report the same.
        DataError: If a result in it is damaged.
    """
    _agree(out, asked)
    results: dict[tuple[str, str, int], Result] = {}
    cells = list(asked.cells())
    missing = [cell for cell in cells if not (out / cell.file).is_file()]
    if missing:
        labelled = np.flatnonzero(asked.data.dataset.index.labels >= 0)
        asked = replace(
            asked,
            data=replace(asked.data, dataset=kept_in_memory(asked.data.dataset, labelled)),
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
    result = arm.protocol(asked.protocol, asked.chosen, cell.seed).evaluate(model, data)
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
            "comparison. Leave it out, or choose --protocol linear, knn or finetune."
        )


def _line(cell: Cell, result: Result) -> str:
    value = result.metrics[result.main].value if result.main in result.metrics else float("nan")
    return (
        f"{cell.arm.name}, budget {cell.budget}, seed {cell.seed}: {result.main} "
        f"{100 * value:.1f} ({result.details['seconds']:.0f} s)"
    )
