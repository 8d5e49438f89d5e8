"""The plan of a comparison: arms, label budgets and seeds."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...data.opening import DataConfig
from ...data.splits import split
from ...training.run import Run
from ..budgets import naming_draw
from ..data import EvaluationData
from ..evaluation import Evaluation
from ..grades import GradesConfig
from ..leakage import seen_by
from ..requests import check_and_say, choose, open_images
from .arms import Arm, evaluations_of
from .chosen_arms import (
    architecture_of,
    checked,
    parse_arms,
    refuse_other_seeds,
    refuse_unfit,
    warn_of_idle,
    with_controls,
)
from .reading import CHANNELS, OPTIONS, READER, changed_reading, reading
from .tested_images import other_test_set

ALL = "all"


@dataclass(frozen=True)
class Cell:
    """One arm at one budget and seed."""

    arm: Arm
    budget: str
    seed: int

    @property
    def text(self) -> str:
        """Arm, budget and seed."""
        return f"{self.arm.name}, budget {self.budget}, seed {self.seed}"

    @property
    def file(self) -> Path:
        """Where its result is kept, below the folder of the comparison."""
        name = re.sub(r"^\.+|[^\w.-]+", "_", self.arm.name)
        if name != self.arm.name:  # or two arms would share a file
            name += f"-{hashlib.sha256(self.arm.name.encode()).hexdigest()[:8]}"
        return Path("cells") / name / f"{self.budget}-{self.seed}.npz"


@dataclass(frozen=True)
class Plan:
    """A comparison that was asked for.

    Attributes:
        arms: Its rows.
        evaluation: Name of the evaluation.
        chosen: The evaluations of all arms, with their options.
        budgets: Label budgets: numbers of images, shares, or "all".
        seeds: How many draws of labels and weights.
        architecture: Name of the encoder.
        image_size: Pixels.
        config: Which images.
        data: Images in three parts.
    """

    arms: tuple[Arm, ...]
    evaluation: str
    chosen: Mapping[str, Evaluation]
    budgets: tuple[str, ...]
    seeds: int
    architecture: str
    image_size: int
    config: DataConfig
    data: EvaluationData

    @property
    def asked(self) -> Evaluation:
        """The evaluation that was asked for, which says what a budget buys for all arms."""
        return self.chosen[self.evaluation]

    @property
    def first_run(self) -> Run | None:
        """The first run among the arms, which images and encoder are taken from."""
        return next((arm.run for arm in self.arms if arm.run), None)

    def arguments(self, arm: Arm) -> dict[str, Any]:
        """Returns further arguments of an arm's architecture, from the first run.

        Random weights are pooled as the run's encoder is, so that training is the only difference.
        Weights of others keep the pooling that they were trained with.
        """
        run = self.first_run
        if run is None:
            return {}
        return dict(
            run.read_json("encoder.json").get("options", {})
            if arm.is_random
            else run.config.encoder.arguments
        )

    @property
    def grades(self) -> tuple[str, ...]:
        """The classes from the lowest to the highest grade; () if they are not ordered."""
        config = self.asked.config
        classes = self.data.dataset.index.classes
        return config.order(classes) if isinstance(config, GradesConfig) else ()

    @property
    def settings(self) -> dict[str, Any]:
        """What all results in a folder must have in common, as plain values."""
        dataset = self.data.dataset
        return {
            "domain": self.data.domain.name,
            "images": dataset.fingerprint(),
            "value_range": dataset.value_range.tolist(),
            **reading(dataset, self.config),
            "holdout": self.config.holdout,
            "encoder": self.architecture,
            "image_size": self.image_size,
            "evaluation": self.evaluation,
            **other_test_set(self.asked, self.data),
            **{
                f"{name}.{option}": value
                for name, evaluation in sorted(self.chosen.items())
                for option, value in evaluation.config.model_dump(mode="json").items()
            },
        }

    @property
    def changed_reading(self) -> dict[str, Any]:
        """How images are read without `--set`, where it changes this; see `changed_reading`."""
        return changed_reading(self.config, self.first_run)

    @property
    def folder(self) -> Path:
        """Where it is kept if nobody says: below the first run, a folder for each settings.

        Images that are read as without `--set` have the folder that they had in earlier versions.
        """
        left_out = () if self.changed_reading else (READER, OPTIONS, CHANNELS)
        settings = {key: value for key, value in self.settings.items() if key not in left_out}
        text = json.dumps(settings, sort_keys=True)
        runs = [arm.folder for arm in self.arms if arm.run]
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return next(iter(runs), Path()) / "comparisons" / digest

    def once(self, arm: Arm, budget: str) -> bool:
        """Tells whether no seed has any influence: then one cell stands for all."""
        seeded = (
            "seed" in type(self.chosen[arm.evaluation_name(self.evaluation)].config).model_fields
        )
        return budget == ALL and not seeded and not arm.has_several_weights

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
        return self.data.limited(self.asked.draw(self.data, amount, seed))

    def checked(self) -> Plan:
        """Returns the plan after the evaluation has checked each draw of labels.

        Raises:
            UsageError: If it cannot hold labels back, or cannot use a draw, which is then named.
        """
        budgets = [budget for budget in self.budgets if budget != ALL]  # which is checked already
        if budgets:
            self.asked.check(self.data.limited(self.data.splits.outside_test))
        for budget, seed in product(budgets, range(self.seeds)):
            with naming_draw(budget, f"seed {seed}"):
                self.asked.check(self.limited(budget, seed))
        return self


def plan(
    arms: Sequence[str],
    *,
    evaluation: str = "linear",
    budgets: str | Sequence[str | int | float] = "10,50,all",
    seeds: int = 3,
    imagenet_weights: str = "",
    encoder: str = "",
    image_size: int = 0,
    domain: str = "",
    data: str = "",
    labels: str = "",
    holdout: float | None = None,
    allow_overlap: bool = False,
    strict: bool = False,
    controls: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Plan:
    """Checks everything that was asked for before anything is computed.

    Args:
        arms: Run folders, and names in `KINDS`.
        evaluation: Name of the evaluation; "scratch" is always trained as a whole.
        budgets: "10,50,all" (numbers in the `budget_unit` of the evaluation, such as images of
            each class) or "0.01,0.1,1.0" (shares).
        seeds: Number of draws of labels, of random weights, and of the runs in a folder of runs
            that differ in their seed.
        imagenet_weights: File for "imagenet"; timm's own weights if empty.
        encoder: Architecture, where there is no run.
        image_size: Pixels; 0 is the runs', or 64.
        domain: Domain of the images; the first run's if empty.
        data: Path of labeled images; the first run's if empty.
        labels: CSV file with labels.
        holdout: Share of groups to test on where no split is declared; the run's if None.
        allow_overlap: Accept test groups that were pre-trained on.
        strict: Refuse images in which something looks wrong.
        controls: Whether to add the arms "start" and "handcrafted" where they apply.
        settings: Options of the evaluation or of fine-tuning, such as {"finetune.epochs": 10}, or
            of the images, such as {"data.options.tile": 64}.

    Raises:
        UsageError: If it is no fair comparison, or test groups were pre-trained on.
    """
    rows = parse_arms(arms, imagenet_weights)
    refuse_other_seeds(rows, seeds)
    chosen = _reporting_alike(choose(evaluations_of(evaluation), settings))
    refuse_unfit(rows, evaluation, chosen[evaluation])
    architecture, size = architecture_of(rows, encoder, image_size)
    rows = with_controls(rows, evaluation, chosen[evaluation]) if controls else rows
    warn_of_idle(rows, evaluation, settings)
    runs = [run for arm in rows for run in arm.all_runs]
    like = str(runs[0].folder) if runs else imagenet_weights
    field, dataset, config = open_images(like, domain, data, labels, holdout, settings)
    seen = seen_by(*([] if allow_overlap else runs), dataset=dataset)
    parts, most = split(dataset.index, config.holdout), config.max_skip
    labeled = EvaluationData(dataset, parts, field, -1, None, *seen, max_skip=most)
    check_and_say([chosen[evaluation]], labeled, strict)
    allowed = tuple(checked(arm, labeled, allow_overlap, chosen[evaluation]) for arm in rows)
    asked = (evaluation, chosen, parse_budgets(budgets), seeds)
    return Plan(allowed, *asked, architecture, size, config, labeled).checked()


def _reporting_alike(chosen: Mapping[str, Evaluation]) -> dict[str, Evaluation]:
    """Gives all evaluations the order of classes and the positive class that one of them has."""
    configs = [e.config for e in chosen.values() if isinstance(e.config, GradesConfig)]
    given: dict[str, Any] = {}
    for key, option in GradesConfig.model_fields.items():
        values = [getattr(config, key) for config in configs]
        changed = [value for value in values if value != option.default]
        given |= {key: changed[0]} if changed else {}
    return {
        name: type(each)(each.config.model_copy(update=given))
        if isinstance(each.config, GradesConfig)
        else each
        for name, each in chosen.items()
    }


def parse_budgets(given: str | Sequence[str | int | float]) -> tuple[str, ...]:
    """Reads "10,50,all", "0.01,0.1,1.0", or the same as a list.

    Raises:
        UsageError: If one is no budget.
    """
    budgets = []
    for part in given.split(",") if isinstance(given, str) else given:
        budget = str(part).strip()
        if budget != ALL and not re.fullmatch(r"[1-9]\d*|0\.\d*[1-9]\d*|1\.0*", budget):
            raise UsageError(
                f"A label budget is a number of images, like 10, a share up to 1.0, like "
                f"0.1, or all, not '{budget}'."
            )
        budgets.append(ALL if budget.startswith("1.") else budget)
    return tuple(dict.fromkeys(budgets))
